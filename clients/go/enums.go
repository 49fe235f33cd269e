package redirect

import (
	"fmt"
	"strings"

	redirectv1 "aa/redirect/v1"
)

// RequestorType says who asks for the data: the URL parameter requestorType.
type RequestorType string

// Who asks for the data. The zero value means that the parameter is absent.
const (
	RequestorFIU RequestorType = "FIU"
	RequestorLSP RequestorType = "LSP"
)

// CallbackStatus is the member status of a callback.
type CallbackStatus string

// Success: the user accepted. Failure: the error code says why not.
const (
	Success CallbackStatus = "SUCCESS"
	Failure CallbackStatus = "FAILURE"
)

// Scheme is how a pairing derives its keys.
type Scheme string

// HKDFIV derives with HKDF-SHA256 and sends a random IV; PBKDF2 is the scheme of the released guidelines.
const (
	HKDFIV Scheme = "HKDF_IV"
	PBKDF2 Scheme = "PBKDF2"
)

// SecretState is what a secret is used for.
type SecretState string

// Primary seals and opens; DecodeOnly opens, and seals a callback that names it.
const (
	Primary    SecretState = "PRIMARY"
	DecodeOnly SecretState = "DECODE_ONLY"
)

// Reopen is what happens to a message that was opened before.
type Reopen string

// ReopenReport opens it and says so; ReopenRefuse answers ReasonAlreadyOpened.
const (
	ReopenReport Reopen = "REPORT"
	ReopenRefuse Reopen = "REFUSE"
)

// Authentication says whether messages of a pairing carry a tag.
type Authentication string

// Off: no tag. Write: a tag is written, and checked if a message has one. Require: a message without a right tag is not
// opened.
const (
	AuthenticationOff     Authentication = "OFF"
	AuthenticationWrite   Authentication = "WRITE"
	AuthenticationRequire Authentication = "REQUIRE"
)

// Deviation is something that a sender does differently from the format, and that the service repairs. Tell the sender.
type Deviation string

// The deviations; proto/aa/redirect/v1/redirect.proto says what arrived with each.
const (
	DeviationBase64Alphabet     Deviation = "BASE64_ALPHABET"
	DeviationBase64Unpadded     Deviation = "BASE64_UNPADDED"
	DeviationPlusAsSpace        Deviation = "PLUS_AS_SPACE"
	DeviationDoubleEncoded      Deviation = "DOUBLE_ENCODED"
	DeviationWhitespace         Deviation = "WHITESPACE"
	DeviationDateDigits         Deviation = "DATE_DIGITS"
	DeviationSecondQuestionMark Deviation = "SECOND_QUESTION_MARK"
	DeviationListSyntax         Deviation = "LIST_SYNTAX"
	DeviationRedirectUnescaped  Deviation = "REDIRECT_UNESCAPED"
	DeviationTxnIDNotUUID       Deviation = "TXNID_NOT_UUID"
	DeviationExtraMember        Deviation = "EXTRA_MEMBER"
	DeviationBlankOptional      Deviation = "BLANK_OPTIONAL"
	DeviationStatusMismatch     Deviation = "STATUS_MISMATCH"
	DeviationStrayCharacters    Deviation = "STRAY_CHARACTERS"
	DeviationNameCase           Deviation = "NAME_CASE"
	DeviationInvalidEscape      Deviation = "INVALID_ESCAPE"
	DeviationRepeated           Deviation = "REPEATED"
	DeviationHTMLEscaped        Deviation = "HTML_ESCAPED"
	DeviationInFragment         Deviation = "IN_FRAGMENT"
	DeviationRequestorType      Deviation = "REQUESTOR_TYPE"
	DeviationDateZeroLost       Deviation = "DATE_ZERO_LOST"
	DeviationRawNonASCII        Deviation = "RAW_NON_ASCII"
)

// A DeviationDetail is a repair and the place where it was made.
type DeviationDetail struct {
	// Deviation is what was repaired.
	Deviation Deviation
	// Place is the parameter or member, such as fi or srcref; empty for the whole URL or text; extra for an extra member.
	Place string
}

// String is the kind, and the place if there is one: `LIST_SYNTAX at srcref`.
func (d DeviationDetail) String() string {
	if d.Place == "" {
		return string(d.Deviation)
	}
	return string(d.Deviation) + " at " + d.Place
}

// enum is a value of the generated code: its number, and its name in the proto if it is known.
type enum interface {
	~int32
	String() string
}

// nameOf is a value's name without its prefix; empty for UNSPECIFIED, UNKNOWN_n for one that this package does not know.
func nameOf[T ~string, E enum](value E, prefix string) T {
	switch name, known := strings.CutPrefix(value.String(), prefix); {
	case value == 0:
		return ""
	case known:
		return T(name)
	default:
		return T(fmt.Sprintf("UNKNOWN_%d", value))
	}
}

// numberOf is the number of a name without its prefix. The second result is false for a name that is not of the enum.
func numberOf[E enum, T ~string](name T, prefix string, values map[string]int32) (E, bool) {
	if name == "" {
		return 0, true
	}
	number, known := values[prefix+string(name)]
	return E(number), known && number != 0
}

func deviationOf(value redirectv1.Deviation) Deviation { return nameOf[Deviation](value, "DEVIATION_") }
