package wire

import (
	"crypto/aes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
)

// Leg is the direction of a message.
type Leg int

const (
	// Request is the leg from the FIU to the AA.
	Request Leg = iota
	// Callback is the leg from the AA back to the FIU.
	Callback
)

// Envelope holds the parameters of a URL, each as it is before percent-encoding.
type Envelope struct {
	FI            string // the sender's id, masked
	Date          string // salt and mask, verbatim
	Message       string // ecreq or ecres
	IV            string // empty with PBKDF2
	RequestorType string // masked; empty where it is not sent
}

// Seal encrypts a message of sender's and masks its id. requestorType may be empty.
func Seal(scheme Scheme, secret, date, sender, requestorType, plaintext string) (Envelope, error) {
	key, err := DeriveKey(scheme, secret, date)
	if err != nil {
		return Envelope{}, err
	}
	iv := make([]byte, aes.BlockSize)
	envelope := Envelope{FI: base64.StdEncoding.EncodeToString([]byte(Mask(sender, date))), Date: date}
	if scheme == HKDFIV {
		rand.Read(iv) // never returns an error
		envelope.IV = base64.StdEncoding.EncodeToString(iv)
	}
	if requestorType != "" {
		envelope.RequestorType = base64.StdEncoding.EncodeToString([]byte(Mask(requestorType, date)))
	}
	ciphertext, err := Encrypt(key, iv, []byte(plaintext))
	if err != nil {
		return Envelope{}, err
	}
	envelope.Message = base64.URLEncoding.EncodeToString(ciphertext)
	return envelope, nil
}

// Open decrypts the message.
func (e Envelope) Open(scheme Scheme, secret string) (string, error) {
	iv := make([]byte, aes.BlockSize)
	if (scheme == HKDFIV) != (e.IV != "") {
		return "", fmt.Errorf("the parameter iv does not go with the scheme")
	}
	if e.IV != "" {
		var err error
		if iv, err = decode(base64.StdEncoding, e.IV); err != nil {
			return "", fmt.Errorf("iv: %w", err)
		}
		if len(iv) != aes.BlockSize {
			return "", fmt.Errorf("iv: %d bytes", len(iv))
		}
	}
	ciphertext, err := decode(base64.URLEncoding, e.Message)
	if err != nil {
		return "", fmt.Errorf("message: %w", err)
	}
	key, err := DeriveKey(scheme, secret, e.Date)
	if err != nil {
		return "", err
	}
	plaintext, err := Decrypt(key, iv, ciphertext)
	return string(plaintext), err
}

// Sender unmasks `fi`.
func (e Envelope) Sender() (string, error) { return unmask(e.FI, e.Date) }

// Requestor unmasks `requestorType`; empty if it was not sent.
func (e Envelope) Requestor() (string, error) { return unmask(e.RequestorType, e.Date) }

// Query is the query string, every value percent-encoded.
func (e Envelope) Query(leg Leg) string {
	var query strings.Builder
	for _, parameter := range e.parameters(leg) {
		if *parameter.value == "" {
			continue
		}
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		// QueryEscape differs from percent-encoding in the space alone, and no parameter has one.
		query.WriteString(parameter.name + "=" + url.QueryEscape(*parameter.value))
	}
	return query.String()
}

// ParseQuery reads a query string that has the parameters of the leg and no others, each once and percent-encoded: a raw
// `+`, `/` or `=` in a value is an error.
func ParseQuery(leg Leg, query string) (Envelope, error) {
	var envelope Envelope
	slots := map[string]*string{}
	for _, parameter := range envelope.parameters(leg) {
		slots[parameter.name] = parameter.value
	}
	for segment := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(segment, "=")
		slot := slots[name]
		if slot == nil {
			return Envelope{}, fmt.Errorf("parameter %q is unknown or repeated", name)
		}
		delete(slots, name)
		if at := strings.IndexFunc(value, reserved); at >= 0 {
			return Envelope{}, fmt.Errorf("parameter %q has a raw %q", name, value[at])
		}
		var err error
		if *slot, err = url.PathUnescape(value); err != nil {
			return Envelope{}, fmt.Errorf("parameter %q: %w", name, err)
		}
	}
	if envelope.FI == "" || envelope.Date == "" || envelope.Message == "" {
		return Envelope{}, fmt.Errorf("a parameter is missing in %q", query)
	}
	return envelope, nil
}

type parameter struct {
	name  string
	value *string
}

func (e *Envelope) parameters(leg Leg) []parameter {
	if leg == Callback {
		return []parameter{{"fi", &e.FI}, {"resdate", &e.Date}, {"ecres", &e.Message}, {"iv", &e.IV}}
	}
	return []parameter{
		{"fi", &e.FI}, {"reqdate", &e.Date}, {"ecreq", &e.Message}, {"iv", &e.IV}, {"requestorType", &e.RequestorType},
	}
}

// reserved says whether a character must not be raw in a value; `%` begins an escape.
func reserved(r rune) bool {
	letterOrDigit := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letterOrDigit && !strings.ContainsRune("-._~%", r)
}

func unmask(text, date string) (string, error) {
	masked, err := decode(base64.StdEncoding, text)
	return Mask(string(masked), date), err
}

// decode reads padded Base64 and nothing else; Go's own decoders skip line ends and, unless Strict, spare bits.
func decode(encoding *base64.Encoding, text string) ([]byte, error) {
	decoded, err := encoding.DecodeString(text)
	if err == nil && encoding.EncodeToString(decoded) != text {
		err = fmt.Errorf("not canonical Base64")
	}
	return decoded, err
}
