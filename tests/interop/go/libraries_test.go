// Messages built by the libraries of Go senders, from random members at random instants: url.Values, url.QueryEscape,
// fmt's verbs, encoding/json and go-querystring write members, url.URL and http.NewRequest write URLs, time.Format writes dates.
package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-querystring/query"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

const libraryRounds = 60

// member is one member of a message, as a sender has it. A list has several values; an absent member is left out of the
// message.
type member struct {
	name   string
	values []string
}

func redirectMembers(m *redirectv1.Redirect) []member {
	return present(m.Extra,
		member{"txnid", []string{m.Txnid}}, member{"userid", []string{m.Userid}}, member{"redirect", []string{m.Redirect}},
		member{"srcref", m.Srcref}, member{"fipid", m.Fipid}, member{"email", []string{m.Email}}, member{"pan", []string{m.Pan}},
		member{"dob", []string{m.Dob}}, member{"isoLanguageCode", []string{m.IsoLanguageCode}},
		member{"sessionid", []string{m.Sessionid}},
	)
}

func callbackMembers(m *redirectv1.Callback) []member {
	status := map[bool]string{true: "S", false: "F"}[m.Status == redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS]
	return present(m.Extra,
		member{"txnid", []string{m.Txnid}}, member{"userid", []string{m.Userid}}, member{"status", []string{status}},
		member{"errorcode", []string{fmt.Sprint(m.Errorcode)}}, member{"srcref", m.Srcref},
		member{"sessionid", []string{m.Sessionid}},
	)
}

// present leaves out empty members, and appends the extra members, which may be empty.
func present(extra map[string]string, all ...member) []member {
	all = slices.DeleteFunc(all, func(m member) bool { return len(m.values) == 0 || m.values[0] == "" })
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		all = append(all, member{name, []string{extra[name]}})
	}
	return all
}

// isList: a list is written in its syntax even if it has one item.
func (m member) isList() bool { return m.name == "srcref" || m.name == "fipid" }

// A libraryWriter is one way to write members.
type libraryWriter struct {
	name  string
	write func([]member) string
	// list says whether the syntax of this list is reported as a deviation. If it is nil, no list is.
	list func(member) bool
	// bare: this way works only for items without blanks.
	bare bool
	// twice: everything is percent-encoded twice.
	twice bool
}

var (
	everyList   = member.isList
	longerLists = func(m member) bool { return m.isList() && len(m.values) > 1 }
)

func repeat(all []member) url.Values {
	form := url.Values{}
	for _, m := range all {
		form[m.name] = m.values
	}
	return form
}

// values puts a list into one value of url.Values.
func values(all []member, list func([]string) string) string {
	form := url.Values{}
	for _, m := range all {
		if m.isList() {
			form.Set(m.name, list(m.values))
		} else {
			form.Set(m.name, m.values[0])
		}
	}
	return form.Encode()
}

func byJSON(items []string) string {
	text, err := json.Marshal(items)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// querystring has the names of both legs as go-querystring writes them. Extra members are written separately.
type querystring struct {
	Txnid     string   `url:"txnid"`
	Sessionid string   `url:"sessionid"`
	Userid    string   `url:"userid"`
	Redirect  string   `url:"redirect,omitempty"`
	Srcref    []string `url:"srcref,brackets"`
	Fipid     []string `url:"fipid,omitempty,comma"`
	Email     string   `url:"email,omitempty"`
	Pan       string   `url:"pan,omitempty"`
	Dob       string   `url:"dob,omitempty"`
	Language  string   `url:"isoLanguageCode,omitempty"`
	Status    string   `url:"status,omitempty"`
	Errorcode string   `url:"errorcode,omitempty"`
}

func byQuerystring(all []member) string {
	var known querystring
	extra := url.Values{}
	slots := map[string]*string{
		"txnid": &known.Txnid, "sessionid": &known.Sessionid, "userid": &known.Userid, "redirect": &known.Redirect,
		"email": &known.Email, "pan": &known.Pan, "dob": &known.Dob, "isoLanguageCode": &known.Language, "status": &known.Status,
		"errorcode": &known.Errorcode,
	}
	for _, m := range all {
		switch slot := slots[m.name]; {
		case m.name == "srcref":
			known.Srcref = m.values
		case m.name == "fipid":
			known.Fipid = m.values
		case slot != nil:
			*slot = m.values[0]
		default:
			extra.Set(m.name, m.values[0])
		}
	}
	form, err := query.Values(known)
	if err != nil {
		panic(err)
	}
	maps.Copy(form, extra)
	return form.Encode()
}

var libraryWriters = []libraryWriter{
	{name: "url.Values", write: func(all []member) string { return repeat(all).Encode() }},
	{name: "url.QueryEscape and a join", write: func(all []member) string {
		var pairs []string
		for _, m := range all {
			for _, value := range m.values {
				pairs = append(pairs, m.name+"="+url.QueryEscape(value))
			}
		}
		return strings.Join(pairs, "&")
	}},
	{name: "url.Values, lists by %v", list: everyList, bare: true, write: func(all []member) string {
		return values(all, func(items []string) string { return fmt.Sprintf("%v", items) })
	}},
	{name: "url.Values, lists by strings.Join", list: longerLists, write: func(all []member) string {
		return values(all, func(items []string) string { return strings.Join(items, ",") })
	}},
	{name: "url.Values, lists by json.Marshal", list: everyList, write: func(all []member) string {
		return values(all, byJSON)
	}},
	{
		name: "go-querystring", write: byQuerystring,
		list: func(m member) bool { return m.name == "srcref" || longerLists(m) },
	},
	{name: "url.Values, all of it escaped once more", twice: true, write: func(all []member) string {
		return url.QueryEscape(repeat(all).Encode())
	}},
}

func (w libraryWriter) deviations(all []member, extra int) []redirectv1.Deviation {
	var deviations []redirectv1.Deviation
	if w.twice {
		deviations = append(deviations, doubleEncoded)
	}
	if w.list != nil && slices.ContainsFunc(all, w.list) {
		deviations = append(deviations, listSyntax)
	}
	if extra > 0 {
		deviations = append(deviations, extraMember)
	}
	return deviations
}

// blankless removes the blanks from items.
func blankless(items []string) []string {
	var bare []string
	for _, item := range items {
		bare = append(bare, strings.ReplaceAll(item, " ", ""))
	}
	return bare
}

// libraryURLs append the parameters to a URL that has a query of its own.
var libraryURLs = map[string]func(t *testing.T, base string, parameters url.Values) string{
	"url.URL": func(t *testing.T, base string, parameters url.Values) string {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		all := u.Query()
		maps.Copy(all, parameters)
		u.RawQuery = all.Encode()
		return u.String()
	},
	"http.NewRequest": func(t *testing.T, base string, parameters url.Values) string {
		request, err := http.NewRequest(http.MethodGet, base, nil)
		if err != nil {
			t.Fatal(err)
		}
		all := request.URL.Query()
		for name := range parameters {
			all.Set(name, parameters.Get(name))
		}
		request.URL.RawQuery = all.Encode()
		return request.URL.String()
	},
	"fmt.Sprintf and url.QueryEscape": func(_ *testing.T, base string, parameters url.Values) string {
		for name := range parameters {
			base += fmt.Sprintf("&%s=%s", name, url.QueryEscape(parameters.Get(name)))
		}
		return base
	},
}

func parametersOf(e wire.Envelope, leg wire.Leg) (url.Values, error) {
	return url.ParseQuery(e.Query(leg))
}

// forEachHabit runs check with random members for every way to write members and URLs.
func forEachHabit(t *testing.T, check func(t *testing.T, w libraryWriter, join func(*testing.T, string, url.Values) string, r random)) {
	for _, w := range libraryWriters {
		for urls, join := range libraryURLs {
			t.Run(w.name+"/"+urls, func(t *testing.T) {
				t.Parallel()
				for number := range libraryRounds {
					check(t, w, join, newRandom(t.Name(), number))
				}
			})
		}
	}
}

func TestRequestsOfTheseLibrariesOpenToTheSameMembers(t *testing.T) {
	forEachHabit(t, func(t *testing.T, w libraryWriter, join func(*testing.T, string, url.Values) string, r random) {
		members := r.redirect(iv)
		if w.bare {
			members.Srcref, members.Fipid = blankless(members.Srcref), blankless(members.Fipid)
		}
		all := redirectMembers(members)
		text := w.write(all)
		parameters, err := parametersOf(sealRequest(t, iv, now(), text), wire.Request)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := decodeURL(t, iv.aa, join(t, "https://aa.example/webview?lang=en", parameters))
		if err != nil {
			t.Fatalf("INTEROP_SEED=%d: %v\nof %s", seed, err, text)
		}
		if diff := cmp.Diff(w.deviations(all, len(members.Extra)), opened.Deviations); diff != "" {
			t.Errorf("INTEROP_SEED=%d: deviations (-want +got):\n%s\nof %s", seed, diff, text)
		}
		if err := differ(members, opened.Redirect); err != nil {
			t.Errorf("INTEROP_SEED=%d: %v\nof %s", seed, err, text)
		}
	})
}

func TestCallbacksOfTheseLibrariesOpenToTheSameMembers(t *testing.T) {
	forEachHabit(t, func(t *testing.T, w libraryWriter, join func(*testing.T, string, url.Values) string, r random) {
		members := r.callback(iv)
		if w.bare {
			members.Srcref = blankless(members.Srcref)
		}
		all := callbackMembers(members)
		text := w.write(all)
		parameters, err := parametersOf(sealCallback(t, iv, now(), text), wire.Callback)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := decodeCallbackURL(t, iv.fiu, join(t, "https://fiu.example/cb?lead=4%2B2&next=/a", parameters))
		if err != nil {
			t.Fatalf("INTEROP_SEED=%d: %v\nof %s", seed, err, text)
		}
		if diff := cmp.Diff(w.deviations(all, len(members.Extra)), opened.Deviations); diff != "" {
			t.Errorf("INTEROP_SEED=%d: deviations (-want +got):\n%s\nof %s", seed, diff, text)
		}
		if err := differ(members, opened.Callback); err != nil {
			t.Errorf("INTEROP_SEED=%d: %v\nof %s", seed, err, text)
		}
	})
}

// Nothing is escaped: fmt.Sprintf, with lists as %v prints them.
func TestRequestsJoinedBySprintfOpenToTheSameMembers(t *testing.T) {
	for number := range libraryRounds {
		r := newRandom(t.Name(), number)
		want := &redirectv1.Redirect{
			Txnid: r.uuid(), Sessionid: fmt.Sprintf("lead %d", r.IntN(1000)), Userid: fmt.Sprintf("%010d@%s", r.IntN(1e10), iv.handle),
			Redirect: "https://fiu.example/cb", Srcref: []string{r.uuid(), r.uuid()}, Email: fmt.Sprintf("a+%d@x.example", r.IntN(100)),
		}
		deviations := []redirectv1.Deviation{listSyntax}
		if r.chance(50) {
			want.Redirect += fmt.Sprintf("?lead=%d&next=/home", r.IntN(1000))
			deviations = append(deviations, redirectUnescaped)
		}
		text := fmt.Sprintf("txnid=%s&sessionid=%s&userid=%s&redirect=%s&srcref=%v&email=%s",
			want.Txnid, want.Sessionid, want.Userid, want.Redirect, want.Srcref, want.Email)
		opened, err := decodeURL(t, iv.aa, sealRequest(t, iv, now(), text).Query(wire.Request))
		if err != nil {
			t.Fatalf("%v\nof %s", err, text)
		}
		if diff := cmp.Diff(deviations, opened.Deviations); diff != "" {
			t.Errorf("deviations (-want +got):\n%s\nof %s", diff, text)
		}
		if err := differ(want, opened.Redirect); err != nil {
			t.Error(err)
		}
	}
}

// anyInstant returns an instant in the years 2000 to 2999, within the window of ivWide.
func (r random) anyInstant() time.Time {
	earliest := time.Now().Add(-ivWide.maxAge + time.Hour)
	if y2000 := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); earliest.Before(y2000) {
		earliest = y2000
	}
	latest := time.Now().Add(ivWide.maxAge - time.Hour)
	return earliest.Add(time.Duration(r.Int64N(int64(latest.Sub(earliest)))))
}

// meant reads a date: 15 digits as milliseconds of a minute, 14 and 16 digits to the second, 17 digits to the
// millisecond.
func meant(t *testing.T, text string) time.Time {
	t.Helper()
	minute, err := time.Parse("020120061504", text[:12])
	if err != nil {
		t.Fatal(err)
	}
	last := text[12:]
	if len(text) == 16 {
		last = last[:2]
	}
	number, err := strconv.Atoi(last)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 14 || len(text) == 16 {
		return minute.Add(time.Duration(number) * time.Second)
	}
	return minute.Add(time.Duration(number) * time.Millisecond)
}

// libraryDates are the ways to write a date with time.Format, whose fractions need a point or comma in front.
var libraryDates = map[string]func(time.Time) string{
	"020120061504.000 without the point":   layout("020120061504.000"), // the seconds are dropped; .000 is their fraction
	"02012006150405":                       layout("02012006150405"),
	"02012006150405.0 without the point":   layout("02012006150405.0"),
	"02012006150405.00 without the point":  layout("02012006150405.00"),
	"02012006150405.000 without the point": layout("02012006150405.000"),
	// Without a point, time.Format writes the zeros as text.
	"0201200615040500": layout("0201200615040500"),
	"02012006150405 and %03d of the milliseconds": func(at time.Time) string {
		return fmt.Sprintf("%s%03d", at.UTC().Format("02012006150405"), at.Nanosecond()/1e6)
	},
	"020120061504 and %03d of the milliseconds": func(at time.Time) string {
		return fmt.Sprintf("%s%03d", at.UTC().Format("020120061504"), at.UnixMilli()%1000)
	},
	"020120061504 and %03d of the seconds": func(at time.Time) string {
		return fmt.Sprintf("%s%03d", at.UTC().Format("020120061504"), at.Second())
	},
	"fmt.Sprintf of the parts": func(at time.Time) string {
		at = at.UTC()
		return fmt.Sprintf("%02d%02d%04d%02d%02d%02d%d", at.Day(), at.Month(), at.Year(), at.Hour(), at.Minute(), at.Second(),
			at.Nanosecond()/1e8)
	},
}

func TestDatesOfRandomInstantsNameThatInstant(t *testing.T) {
	for name, write := range libraryDates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for number := range 200 {
				r := newRandom(t.Name(), number)
				at := r.anyInstant()
				text := write(at)
				opened, err := decodeURL(t, ivWide.aa, sealRequest(t, ivWide, text, sentPlain).Query(wire.Request))
				if err != nil {
					t.Fatalf("%s of %v: %v", text, at, err)
				}
				want := meant(t, text)
				if got := opened.IssueTime.AsTime(); !got.Equal(want) {
					t.Errorf("%s of %v is %v, want %v", text, at, got, want)
				}
				if off := want.Sub(at).Abs(); off >= time.Minute {
					t.Errorf("%s is %v off %v", text, off, at)
				}
				var deviations []redirectv1.Deviation
				if len(text) != 15 {
					deviations = append(deviations, dateDigits)
				}
				if diff := cmp.Diff(deviations, opened.Deviations); diff != "" {
					t.Errorf("%s: deviations (-want +got):\n%s", text, diff)
				}
			}
		})
	}
}

func TestADateThatWasStoredAsANumberGetsItsZeroBack(t *testing.T) {
	lost := 0
	for number := range 200 {
		text := libraryDates["020120061504.000 without the point"](newRandom(t.Name(), number).anyInstant())
		stored, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		envelope := sealRequest(t, ivWide, text, sentPlain)
		envelope.Date = fmt.Sprint(stored)
		opened, err := decodeURL(t, ivWide.aa, envelope.Query(wire.Request))
		if err != nil {
			t.Fatalf("%s: %v", envelope.Date, err)
		}
		if got, want := opened.IssueTime.AsTime(), meant(t, text); !got.Equal(want) {
			t.Errorf("%s is %v, want %v", envelope.Date, got, want)
		}
		reported := slices.Contains(opened.Deviations, dateZeroLost)
		if reported != (text[0] == '0') {
			t.Errorf("%s: deviations are %v", envelope.Date, opened.Deviations)
		}
		if reported {
			lost++
		}
	}
	if lost == 0 {
		t.Error("no date began with a zero")
	}
}
