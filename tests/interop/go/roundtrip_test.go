// Random messages between the service and the codec of this folder, over both legs and in both directions. The opening
// side is strict: a service that does not write exactly the format fails here, even if a tolerant reader would not
// notice.
package interop

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

// Messages of each test below, so four times as many in all. PBKDF2 costs either side 65,536 rounds.
const (
	hkdfMessages   = 300
	pbkdf2Messages = 36
)

var (
	hkdfPairings   = []*pairing{iv, ivTenth, ivPinned, ivFull, ivComma, ivBrace, ivJSON, ivQuery, ivNoWeb, alone}
	pbkdf2Pairings = []*pairing{v10, v11, v12, v13, v14, v15}
)

// forEachMessage runs check for every message, each with its own random members, several at a time. The pairings take
// turns.
func forEachMessage(t *testing.T, check func(ctx context.Context, p *pairing, r random) error) {
	for _, scheme := range []struct {
		name     string
		messages int
		pairings []*pairing
	}{{"hkdf-iv", hkdfMessages, hkdfPairings}, {"pbkdf2", pbkdf2Messages, pbkdf2Pairings}} {
		t.Run(scheme.name, func(t *testing.T) {
			ctx := patient(t)
			var workers sync.WaitGroup
			numbers := make(chan int)
			for range 16 {
				workers.Go(func() {
					for number := range numbers {
						p := scheme.pairings[number%len(scheme.pairings)]
						if err := check(ctx, p, newRandom(t.Name(), number)); err != nil {
							t.Errorf("INTEROP_SEED=%d, message %d to %s: %v", seed, number, p.aa, err)
						}
					}
				})
			}
			for number := range scheme.messages {
				numbers <- number
			}
			close(numbers)
			workers.Wait()
		})
	}
}

func TestServiceSealsRequestsThatGoOpens(t *testing.T) {
	forEachMessage(t, func(ctx context.Context, p *pairing, r random) error {
		members, requestor := r.redirect(p), r.requestorType()
		request := &redirectv1.EncodeRedirectRequest{FiuId: p.fiu, AaId: p.aa, Redirect: members, RequestorType: requestor}
		if r.chance(30) {
			request.AaId = "" // the user id's handle picks the AA
		}
		madeTxnid := r.chance(20)
		if madeTxnid {
			members.Txnid = ""
		}
		if r.chance(20) {
			request.IssueTime = timestamppb.New(time.Now().Add(time.Duration(r.IntN(200)-100) * time.Second))
		}
		before := time.Now()
		sealed, err := client.EncodeRedirect(ctx, request)
		if err != nil {
			return err
		}
		if madeTxnid {
			members.Txnid = sealed.Txnid
			if id := sealed.Txnid; len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) {
				return fmt.Errorf("the txnid made is %q, no random UUID", id)
			}
		}
		if sealed.Txnid != members.Txnid || sealed.SecretId != secretID(0) {
			return fmt.Errorf("txnid %q, secret %q", sealed.Txnid, sealed.SecretId)
		}
		wantURL := ""
		if p.webview != "" {
			wantURL = join(p.webview, sealed.Query)
		}
		if sealed.Url != wantURL {
			return fmt.Errorf("url is %q, want %q", sealed.Url, wantURL)
		}
		envelope, err := wire.ParseQuery(wire.Request, sealed.Query)
		if err != nil {
			return err
		}
		params := &redirectv1.RedirectParams{
			Fi: envelope.FI, Reqdate: envelope.Date, Ecreq: envelope.Message, Iv: envelope.IV, RequestorType: envelope.RequestorType,
		}
		if diff := cmp.Diff(params, sealed.Params, protocmp.Transform()); diff != "" {
			return fmt.Errorf("params are not what the query says (-query +params):\n%s", diff)
		}
		if err := checkSealed(p, envelope, before, request.IssueTime, sealed.IssueTime, sealed.ExpireTime); err != nil {
			return err
		}
		if sender, err := envelope.Sender(); err != nil || sender != p.fiu {
			return fmt.Errorf("fi is %q (%v)", sender, err)
		}
		want := map[redirectv1.RequestorType]string{1: "FIU", 2: "LSP"}[requestor]
		if got, err := envelope.Requestor(); err != nil || got != want {
			return fmt.Errorf("requestorType is %q (%v), want %q", got, err, want)
		}
		plaintext, err := envelope.Open(p.scheme, p.secrets[0])
		if err != nil {
			return err
		}
		if want := toWire(members).Write(p.lists); plaintext != want {
			return fmt.Errorf("members are written\n%s\nnot\n%s", plaintext, want)
		}
		read, err := wire.ReadRedirect(plaintext, p.lists)
		if err != nil {
			return err
		}
		return differ(members, fromWire(read))
	})
}

func TestServiceSealsCallbacksThatGoOpens(t *testing.T) {
	forEachMessage(t, func(ctx context.Context, p *pairing, r random) error {
		members, redirectURL := r.callback(p), r.url()
		if r.chance(10) {
			members.Txnid = "T1234" // not a UUID, but the request brought it
		}
		request := &redirectv1.EncodeCallbackRequest{FiuId: p.fiu, AaId: p.aa, Callback: members, RedirectUrl: redirectURL}
		if r.chance(20) {
			request.IssueTime = timestamppb.New(time.Now().Add(time.Duration(r.IntN(200)-100) * time.Second))
		}
		before := time.Now()
		sealed, err := client.EncodeCallback(ctx, request)
		if err != nil {
			return err
		}
		if want := join(redirectURL, sealed.Query); sealed.Url != want {
			return fmt.Errorf("url is %q, want %q", sealed.Url, want)
		}
		if sealed.SecretId != secretID(0) {
			return fmt.Errorf("secret %q", sealed.SecretId)
		}
		envelope, err := wire.ParseQuery(wire.Callback, sealed.Query)
		if err != nil {
			return err
		}
		params := &redirectv1.CallbackParams{Fi: envelope.FI, Resdate: envelope.Date, Ecres: envelope.Message, Iv: envelope.IV}
		if diff := cmp.Diff(params, sealed.Params, protocmp.Transform()); diff != "" {
			return fmt.Errorf("params are not what the query says (-query +params):\n%s", diff)
		}
		if err := checkSealed(p, envelope, before, request.IssueTime, sealed.IssueTime, sealed.ExpireTime); err != nil {
			return err
		}
		if sender, err := envelope.Sender(); err != nil || sender != p.aa {
			return fmt.Errorf("fi is %q (%v)", sender, err)
		}
		plaintext, err := envelope.Open(p.scheme, p.secrets[0])
		if err != nil {
			return err
		}
		if want := outcomeToWire(members).Write(p.lists); plaintext != want {
			return fmt.Errorf("members are written\n%s\nnot\n%s", plaintext, want)
		}
		read, err := wire.ReadOutcome(plaintext, p.lists)
		if err != nil {
			return err
		}
		return differ(members, outcomeFromWire(read))
	})
}

func TestGoSealsRequestsThatTheServiceOpens(t *testing.T) {
	forEachMessage(t, func(ctx context.Context, p *pairing, r random) error {
		members, requestor := r.redirect(p), r.requestorType()
		date := r.date(p)
		name := map[redirectv1.RequestorType]string{1: "FIU", 2: "LSP"}[requestor]
		envelope, err := wire.Seal(p.scheme, p.secrets[0], date.text, p.fiu, name, toWire(members).Write(p.lists))
		if err != nil {
			return err
		}
		request := &redirectv1.DecodeRedirectRequest{AaId: p.aa}
		if p == alone && r.chance(50) {
			request.AaId = ""
		}
		if r.chance(30) {
			request.Source = &redirectv1.DecodeRedirectRequest_Params{Params: redirectParams(envelope)}
		} else {
			request.Source = &redirectv1.DecodeRedirectRequest_Url{Url: r.anyURL(p.webview, envelope.Query(wire.Request))}
		}
		before := time.Now()
		opened, err := client.DecodeRedirect(ctx, request)
		if err != nil {
			return err
		}
		if opened.FiuId != p.fiu || opened.AaId != p.aa || opened.RequestorType != requestor {
			return fmt.Errorf("opened as %s to %s, requestor %v", opened.FiuId, opened.AaId, opened.RequestorType)
		}
		if opened.SecretId != secretID(0) || !opened.PrimarySecret {
			return fmt.Errorf("secret %q, primary: %v", opened.SecretId, opened.PrimarySecret)
		}
		if diff := cmp.Diff(expectedDeviations(date, len(members.Extra)), opened.Deviations); diff != "" {
			return fmt.Errorf("deviations (-want +got):\n%s", diff)
		}
		if err := checkOpened(date, before, opened.IssueTime, opened.Age, opened.ReplayUntil); err != nil {
			return err
		}
		return differ(members, opened.Redirect)
	})
}

func TestGoSealsCallbacksThatTheServiceOpens(t *testing.T) {
	forEachMessage(t, func(ctx context.Context, p *pairing, r random) error {
		members := r.callback(p)
		date := r.date(p)
		envelope, err := wire.Seal(p.scheme, p.secrets[0], date.text, p.aa, "", outcomeToWire(members).Write(p.lists))
		if err != nil {
			return err
		}
		request := &redirectv1.DecodeCallbackRequest{FiuId: p.fiu}
		if p == alone && r.chance(50) {
			request.FiuId = ""
		}
		if r.chance(30) {
			request.Source = &redirectv1.DecodeCallbackRequest_Params{Params: callbackParams(envelope)}
		} else {
			request.Source = &redirectv1.DecodeCallbackRequest_Url{Url: r.anyURL(r.url(), envelope.Query(wire.Callback))}
		}
		before := time.Now()
		opened, err := client.DecodeCallback(ctx, request)
		if err != nil {
			return err
		}
		if opened.FiuId != p.fiu || opened.AaId != p.aa {
			return fmt.Errorf("opened as %s from %s", opened.FiuId, opened.AaId)
		}
		if opened.SecretId != secretID(0) || !opened.PrimarySecret {
			return fmt.Errorf("secret %q, primary: %v", opened.SecretId, opened.PrimarySecret)
		}
		if code := opened.Callback.GetErrorcode(); code > 23 && opened.ErrorMessage != fmt.Sprintf("Unlisted error code %d", code) ||
			opened.ErrorMessage == "" {
			return fmt.Errorf("code %d is %q", code, opened.ErrorMessage)
		}
		if diff := cmp.Diff(expectedDeviations(date, len(members.Extra)), opened.Deviations); diff != "" {
			return fmt.Errorf("deviations (-want +got):\n%s", diff)
		}
		if err := checkOpened(date, before, opened.IssueTime, opened.Age, opened.ReplayUntil); err != nil {
			return err
		}
		return differ(members, opened.Callback)
	})
}

// From encode to decode, values for which the documents have no rule beyond those of the member.
func TestServiceGivesBackEmptyExtraMembers(t *testing.T) {
	members := newRandom(t.Name(), 0).redirect(iv)
	members.Extra = map[string]string{"empty": "", "fi": "z"}
	sealed, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{FiuId: iv.fiu, AaId: iv.aa, Redirect: members})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := client.DecodeRedirect(patient(t), &redirectv1.DecodeRedirectRequest{
		AaId: iv.aa, Source: &redirectv1.DecodeRedirectRequest_Url{Url: sealed.Url},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := differ(members, opened.Redirect); err != nil {
		t.Error(err)
	}
}

// ivs holds every IV that the service has sent.
var ivs sync.Map

// checkSealed checks IV and date, and that the response's instants are those of the date. asked is nil if the date must
// be that of now.
func checkSealed(p *pairing, envelope wire.Envelope, before time.Time, asked, issue, expire *timestamppb.Timestamp) error {
	if (envelope.IV != "") != (p.scheme == wire.HKDFIV) {
		return fmt.Errorf("iv is %q", envelope.IV)
	}
	if _, repeated := ivs.LoadOrStore(envelope.IV, true); repeated && envelope.IV != "" {
		return fmt.Errorf("the IV %s was sent before", envelope.IV)
	}
	if raw, _ := base64.StdEncoding.DecodeString(envelope.IV); envelope.IV != "" && len(raw) != 16 {
		return fmt.Errorf("the IV has %d bytes", len(raw))
	}
	if want := wire.FormatDate(issue.AsTime(), p.date); envelope.Date != want {
		return fmt.Errorf("date %s of issue time %v, want %s", envelope.Date, issue.AsTime(), want)
	}
	if asked != nil && !issue.AsTime().Equal(asked.AsTime()) {
		return fmt.Errorf("issue time %v, asked for %v", issue.AsTime(), asked.AsTime())
	}
	if at := issue.AsTime(); asked == nil && (at.Before(before.Add(-clockGrain)) || at.After(time.Now().Add(clockGrain))) {
		return fmt.Errorf("issue time %v of a call that began at %v", at, before)
	}
	if got := expire.AsTime().Sub(issue.AsTime()); got != window {
		return fmt.Errorf("expires after %v, want %v", got, window)
	}
	return nil
}

// clockGrain is the largest difference of two processes that read one clock.
const clockGrain = 10 * time.Millisecond

// A date that this side makes, and how the service must read it.
type date struct {
	text string
	// issue is the issue_time to expect; zero if the documents do not say.
	issue time.Time
	// firstEnd and lastEnd enclose the latest instant that the digits can name.
	firstEnd, lastEnd time.Time
	// foreign: it has 14 or 17 digits, and the pairing itself does not write so many.
	foreign bool
}

// date returns a random instant of the last or next 100 seconds, in a random style.
func (r random) date(p *pairing) date {
	instant := time.Now().Add(time.Duration(r.IntN(200_000)-100_000) * time.Millisecond)
	styles := []wire.DateStyle{wire.Seconds, wire.Full, p.date}
	if !p.pinned {
		styles = append(styles, wire.Millis, wire.Tenths, wire.PaddedSeconds)
	}
	return dateOf(p, instant, pick(r, styles))
}

func dateOf(p *pairing, instant time.Time, style wire.DateStyle) date {
	d := date{text: wire.FormatDate(instant, style)}
	minute := instant.UTC().Truncate(time.Minute)
	switch style {
	case wire.Seconds:
		d.issue, d.foreign = instant.UTC().Truncate(time.Second), true
	case wire.Full:
		d.issue, d.foreign = instant.UTC().Truncate(time.Millisecond), p.date != wire.Full
	default: // 15 digits name a minute, whoever wrote them
		digits, err := strconv.Atoi(d.text[12:])
		if err != nil {
			panic(err)
		}
		if p.date == wire.Tenths && digits < 600 {
			d.issue = minute.Add(time.Duration(digits) * 100 * time.Millisecond)
		} else if p.date != wire.Full {
			d.issue = minute.Add(time.Duration(digits) * time.Millisecond)
		}
		d.firstEnd, d.lastEnd = minute.Add(59*time.Second), minute.Add(time.Minute)
	}
	if d.firstEnd.IsZero() || p.pinned {
		d.firstEnd, d.lastEnd = d.issue, d.issue
	}
	if p.pinned && style == p.date {
		d.lastEnd = d.issue.Add(100 * time.Millisecond)
	}
	return d
}

// checkOpened checks how the service read a date.
func checkOpened(
	d date, before time.Time, issue *timestamppb.Timestamp, age *durationpb.Duration, replayUntil *timestamppb.Timestamp,
) error {
	if !d.issue.IsZero() && !issue.AsTime().Equal(d.issue) {
		return fmt.Errorf("issue time of %s is %v, want %v", d.text, issue.AsTime(), d.issue)
	}
	least, most := before.Sub(issue.AsTime())-clockGrain, time.Since(issue.AsTime())+clockGrain
	if got := age.AsDuration(); got < least || got > most {
		return fmt.Errorf("age of %s is %v, want %v to %v", d.text, got, least, most)
	}
	if got := replayUntil.AsTime(); got.Before(d.firstEnd.Add(window)) || got.After(d.lastEnd.Add(window)) {
		return fmt.Errorf("replay of %s until %v, want %v to %v", d.text, got, d.firstEnd.Add(window), d.lastEnd.Add(window))
	}
	return nil
}

func expectedDeviations(d date, extra int) []redirectv1.Deviation {
	var deviations []redirectv1.Deviation
	if d.foreign {
		deviations = append(deviations, redirectv1.Deviation_DEVIATION_DATE_DIGITS)
	}
	if extra > 0 {
		deviations = append(deviations, redirectv1.Deviation_DEVIATION_EXTRA_MEMBER)
	}
	return deviations
}

// anyURL returns a clean message in a random form of the URL or query.
func (r random) anyURL(base, query string) string {
	parameters := strings.Split(query, "&")
	r.Shuffle(len(parameters), func(i, j int) { parameters[i], parameters[j] = parameters[j], parameters[i] })
	if r.chance(20) {
		parameters = append(parameters, "fip=x%20y", "aaVersion=2", "chid=") // unknown ones are ignored
	}
	query = strings.Join(parameters, "&")
	switch {
	case base == "" || r.chance(10):
		return query
	case r.chance(10):
		return "?" + query
	case r.chance(10) && !strings.Contains(base, "#"):
		return join(base, query) + "#fragment"
	default:
		return join(base, query)
	}
}

// join appends a query to a URL, before its fragment, and changes nothing else.
func join(base, query string) string {
	base, fragment, hasFragment := strings.Cut(base, "#")
	separator := "?"
	if strings.Contains(base, "?") {
		separator = "&"
	}
	base += separator + query
	if hasFragment {
		base += "#" + fragment
	}
	return base
}

func redirectParams(e wire.Envelope) *redirectv1.RedirectParams {
	return &redirectv1.RedirectParams{Fi: e.FI, Reqdate: e.Date, Ecreq: e.Message, Iv: e.IV, RequestorType: e.RequestorType}
}

func callbackParams(e wire.Envelope) *redirectv1.CallbackParams {
	return &redirectv1.CallbackParams{Fi: e.FI, Resdate: e.Date, Ecres: e.Message, Iv: e.IV}
}

func differ(want, got any) error {
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		return fmt.Errorf("members differ (-want +got):\n%s", diff)
	}
	return nil
}
