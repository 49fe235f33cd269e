package redirect

import "fmt"

// Hidden keeps the content of the struct that embeds it out of what prints: it serves every verb of fmt, log/slog, JSON, XML
// and YAML with a fixed text. Leave it out when you fill such a struct.
type Hidden struct{}

const hiddenText = "redirect(hidden)"

// Format writes a fixed text for every verb.
func (Hidden) Format(state fmt.State, _ rune) { show(state, hiddenText) }

// MarshalText gives a fixed text.
func (Hidden) MarshalText() ([]byte, error) { return []byte(hiddenText), nil }

func show(state fmt.State, text string) { _, _ = fmt.Fprint(state, text) }

// kept holds a message where fmt does not follow: it asks no method of an unexported field, and with a verb that does not
// fit it follows one pointer, but never two.
type kept[T any] struct{ at **T }

func keep[T any](message *T) kept[T] { return kept[T]{&message} }

// get is nil for the zero value.
func (k kept[T]) get() *T {
	if k.at == nil {
		return nil
	}
	return *k.at
}
