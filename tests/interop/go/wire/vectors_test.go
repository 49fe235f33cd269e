// Every published vector through this codec. The vectors were made by other code, so they catch an error that the service
// and this codec might share.
package wire

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
	"time"
)

type vector struct {
	Name       string
	Profile    string
	Secret     *string // nil: a real `fi` and its date, nothing else
	Date       string
	FIPlain    string `json:"fi_plain"`
	FIEncoded  string `json:"fi_encoded"`
	IV         string `json:"iv_b64"`
	Plaintext  string
	Ciphertext string `json:"ciphertext_b64url_padded"`
}

func TestVectors(t *testing.T) {
	file, err := os.ReadFile("../../../vectors/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	schemes := map[string]Scheme{"hkdf-random-iv": HKDFIV, "pbkdf2-zero-iv": PBKDF2}
	for _, v := range vectors {
		t.Run(v.Profile+"/"+v.Name, func(t *testing.T) {
			t.Parallel()
			scheme, ok := schemes[v.Profile]
			if !ok {
				t.Fatalf("unknown profile %q", v.Profile)
			}
			if got := base64.StdEncoding.EncodeToString([]byte(Mask(v.FIPlain, v.Date))); got != v.FIEncoded {
				t.Errorf("fi is %q, want %q", got, v.FIEncoded)
			}
			envelope := Envelope{FI: v.FIEncoded, Date: v.Date, Message: v.Ciphertext, IV: v.IV}
			if got, err := envelope.Sender(); err != nil || got != v.FIPlain {
				t.Errorf("fi unmasks to %q (%v), want %q", got, err, v.FIPlain)
			}
			if v.Secret == nil {
				return
			}
			key, err := DeriveKey(scheme, *v.Secret, v.Date)
			if err != nil {
				t.Fatal(err)
			}
			iv := make([]byte, 16)
			if v.IV != "" {
				if iv, err = base64.StdEncoding.DecodeString(v.IV); err != nil {
					t.Fatal(err)
				}
			}
			ciphertext, err := Encrypt(key, iv, []byte(v.Plaintext))
			if err != nil {
				t.Fatal(err)
			}
			if got := base64.URLEncoding.EncodeToString(ciphertext); got != v.Ciphertext {
				t.Errorf("encrypted to %q, want %q", got, v.Ciphertext)
			}
			if got, err := envelope.Open(scheme, *v.Secret); err != nil || got != v.Plaintext {
				t.Errorf("decrypted to %q (%v), want %q", got, err, v.Plaintext)
			}
		})
	}
}

// The specification's own instant, in every style.
func TestDateStyles(t *testing.T) {
	instant := time.Date(2021, 4, 6, 10, 40, 23, 756_000_000, time.FixedZone("IST", 19_800))
	for style, want := range map[DateStyle]string{
		Millis:        "060420210510756",
		Tenths:        "060420210510237",
		PaddedSeconds: "060420210510023",
		Seconds:       "06042021051023",
		Full:          "06042021051023756",
	} {
		if got := FormatDate(instant, style); got != want {
			t.Errorf("style %d: %s, want %s", style, got, want)
		}
	}
}

// The service's plaintexts are compared with this writer's, so this test compares the writer with a literal text.
func TestMembersAreWrittenInOrderAndEscapedAsTheFormatHasIt(t *testing.T) {
	redirect := Redirect{
		TxnID: "2d04747e-21c6-4c23-955b-d46c2f820140", SessionID: "a b+c=d&e%f#g\r\nसत्र~|?{}\x7f", UserID: "99@aa",
		Redirect: "https://fiu.example/cb?a=1&b=%2F#top", SrcRef: []string{"s-1", "s 2"}, FIPID: []string{"fip@x"},
		Email: "a+b@x.in", PAN: "ABCDE1234F", DOB: "1990-02-28", ISOLanguageCode: "hi-IN",
		Extra: map[string]string{"fi": "z", "account": "😀"},
	}
	want := "txnid=2d04747e-21c6-4c23-955b-d46c2f820140" +
		"&sessionid=a%20b%2Bc%3Dd%26e%25f%23g%0D%0A%E0%A4%B8%E0%A4%A4%E0%A5%8D%E0%A4%B0~|?{}%7F&userid=99@aa" +
		"&redirect=https%3A%2F%2Ffiu.example%2Fcb%3Fa%3D1%26b%3D%252F%23top&srcref=s-1&srcref=s%202&fipid=fip@x" +
		"&email=a%2Bb@x.in&pan=ABCDE1234F&dob=1990-02-28&isoLanguageCode=hi-IN&account=%F0%9F%98%80&fi=z"
	if got := redirect.Write(Repeated); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	outcome := Outcome{TxnID: "T1", UserID: "99@aa", Success: true, SrcRef: []string{"a", "b"}}
	for lists, want := range map[Lists]string{
		Repeated: "txnid=T1&sessionid=&userid=99@aa&status=S&errorcode=0&srcref=a&srcref=b",
		Comma:    "txnid=T1&sessionid=&userid=99@aa&status=S&errorcode=0&srcref=a,b",
		Braces:   "txnid=T1&sessionid=&userid=99@aa&status=S&errorcode=0&srcref={a,b}",
		JSON:     `txnid=T1&sessionid=&userid=99@aa&status=S&errorcode=0&srcref=["a","b"]`,
	} {
		if got := outcome.Write(lists); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestParametersMustBePercentEncodedAndPadded(t *testing.T) {
	for _, query := range []string{
		"fi=dnpkeHY=&reqdate=031120201803460&ecreq=AAAA",
		"fi=a+b&reqdate=031120201803460&ecreq=AAAA",
		"fi=a/b&reqdate=031120201803460&ecreq=AAAA",
		"fi=AAAA&reqdate=031120201803460",
		"fi=AAAA&fi=AAAA&reqdate=031120201803460&ecreq=AAAA",
	} {
		if _, err := ParseQuery(Request, query); err == nil {
			t.Errorf("%s was read", query)
		}
	}
	for _, fi := range []string{"dnpkeHY", "dnpk\r\neHY=", "dnpkeHZ="} {
		if _, err := (Envelope{FI: fi, Date: "031120201803460"}).Sender(); err == nil {
			t.Errorf("%q was read", fi)
		}
	}
}
