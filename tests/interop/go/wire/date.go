package wire

import (
	"fmt"
	"time"
)

// DateStyle is how the last digits of a date are written.
type DateStyle int

const (
	// Millis writes three digits of milliseconds and drops the seconds: 15 digits.
	Millis DateStyle = iota
	// Tenths writes two digits of seconds and one of tenths: 15 digits.
	Tenths
	// PaddedSeconds writes the seconds in three digits, as some date libraries do for `sss`: 15 digits.
	PaddedSeconds
	// Seconds writes two digits of seconds and nothing more: 14 digits.
	Seconds
	// Full writes two digits of seconds and three of milliseconds: 17 digits.
	Full
)

// String is the service's name of the style, if the service writes it.
func (s DateStyle) String() string { return [...]string{"millis", "tenths", "", "", "full"}[s] }

// FormatDate is `ddmmyyyyhh24misss` in UTC.
func FormatDate(instant time.Time, style DateStyle) string {
	instant = instant.UTC()
	minute := instant.Format("020120061504")
	second, milli := instant.Second(), instant.Nanosecond()/1_000_000
	switch style {
	case Tenths:
		return fmt.Sprintf("%s%02d%d", minute, second, milli/100)
	case PaddedSeconds:
		return fmt.Sprintf("%s%03d", minute, second)
	case Seconds:
		return fmt.Sprintf("%s%02d", minute, second)
	case Full:
		return fmt.Sprintf("%s%02d%03d", minute, second, milli)
	default:
		return fmt.Sprintf("%s%03d", minute, milli)
	}
}
