package redirect

import "fmt"

// Hidden hides the content of the struct that embeds it: fmt (with every verb), log/slog, JSON, XML and YAML print a
// fixed text. When you fill such a struct, do not set this field.
type Hidden struct{}

const hiddenText = "redirect(hidden)"

// Format writes a fixed text for every verb.
func (Hidden) Format(state fmt.State, _ rune) { show(state, hiddenText) }

// MarshalText gives a fixed text.
func (Hidden) MarshalText() ([]byte, error) { return []byte(hiddenText), nil }

func show(state fmt.State, text string) { _, _ = fmt.Fprint(state, text) }

// kept holds a message behind two pointers, so that fmt never prints it. For an unexported field fmt calls no method,
// and with a verb that does not fit it follows one pointer, but never two.
type kept[T any] struct{ at **T }

func keep[T any](message *T) kept[T] { return kept[T]{&message} }

// get is nil for the zero value.
func (k kept[T]) get() *T {
	if k.at == nil {
		return nil
	}
	return *k.at
}
