// Command rival is a server that benchmarks compare with the service: EncodeRedirect and DecodeRedirect as a Go backend
// would write them, with this module's codec behind grpc-go in its default configuration. It does the same work on
// clean messages: it checks what is required, reads strictly and repairs nothing. It refuses what it does not offer:
// other methods, an `issue_time`, decoding from `params`, a pairing that is not named in full.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

// secretID is the name of a pairing's only secret, because the keyring gives it no id.
const secretID = "primary"

var (
	schemes    = map[string]wire.Scheme{"hkdf-iv": wire.HKDFIV, "pbkdf2": wire.PBKDF2}
	requestors = map[redirectv1.RequestorType]string{
		redirectv1.RequestorType_REQUESTOR_TYPE_UNSPECIFIED: "",
		redirectv1.RequestorType_REQUESTOR_TYPE_FIU:         "FIU",
		redirectv1.RequestorType_REQUESTOR_TYPE_LSP:         "LSP",
	}
	requestorTypes = map[string]redirectv1.RequestorType{
		"":    redirectv1.RequestorType_REQUESTOR_TYPE_UNSPECIFIED,
		"FIU": redirectv1.RequestorType_REQUESTOR_TYPE_FIU,
		"LSP": redirectv1.RequestorType_REQUESTOR_TYPE_LSP,
	}
)

// errUnreadable says the same about every message that does not open, as the service does, because the format has no
// MAC.
var errUnreadable = status.Error(codes.InvalidArgument, "the message cannot be opened")

type pairing struct {
	FIU, AA, Scheme, Secret, Webview string
	MaxAgeSeconds                    int `json:"max_age_seconds"`
}

func (p *pairing) window() time.Duration { return time.Duration(p.MaxAgeSeconds) * time.Second }

type key struct{ fiu, aa string }

type server struct {
	redirectv1.UnimplementedRedirectServiceServer
	pairings map[key]*pairing
}

func (s *server) EncodeRedirect(
	_ context.Context, request *redirectv1.EncodeRedirectRequest,
) (*redirectv1.EncodeRedirectResponse, error) {
	p := s.pairings[key{request.GetFiuId(), request.GetAaId()}]
	if p == nil {
		return nil, status.Error(codes.NotFound, "no such pairing")
	}
	given := request.GetRedirect()
	members := wire.Redirect{
		TxnID: given.GetTxnid(), SessionID: given.GetSessionid(), UserID: given.GetUserid(), Redirect: given.GetRedirect(),
		SrcRef: given.GetSrcref(), FIPID: given.GetFipid(), Email: given.GetEmail(), PAN: given.GetPan(), DOB: given.GetDob(),
		ISOLanguageCode: given.GetIsoLanguageCode(), Extra: given.GetExtra(),
	}
	if members.TxnID == "" {
		members.TxnID = uuid.NewString()
	}
	if err := check(members); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if request.GetIssueTime() != nil {
		return nil, status.Error(codes.InvalidArgument, "issue_time: always now")
	}
	requestor, known := requestors[request.GetRequestorType()]
	if !known {
		return nil, status.Error(codes.InvalidArgument, "requestor_type: FIU or LSP")
	}

	now := time.Now()
	date := wire.FormatDate(now, wire.Millis)
	envelope, err := wire.Seal(schemes[p.Scheme], p.Secret, date, p.FIU, requestor, members.Write(wire.Repeated))
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	query := envelope.Query(wire.Request)
	separator := "?"
	if strings.Contains(p.Webview, "?") {
		separator = "&"
	}
	return &redirectv1.EncodeRedirectResponse{
		Url:   p.Webview + separator + query,
		Query: query,
		Params: &redirectv1.RedirectParams{
			Fi: envelope.FI, Reqdate: envelope.Date, Ecreq: envelope.Message, Iv: envelope.IV, RequestorType: envelope.RequestorType,
		},
		Txnid:      members.TxnID,
		SecretId:   secretID,
		IssueTime:  timestamppb.New(now),
		ExpireTime: timestamppb.New(now.Add(p.window())),
	}, nil
}

// DecodeRedirect makes the checks that need no key first.
func (s *server) DecodeRedirect(
	_ context.Context, request *redirectv1.DecodeRedirectRequest,
) (*redirectv1.DecodeRedirectResponse, error) {
	envelope, err := parse(request.GetUrl())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	minute, issue, err := parseDate(envelope.Date)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	fiu, err := envelope.Sender()
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "fi: "+err.Error())
	}
	p := s.pairings[key{fiu, request.GetAaId()}]
	if p == nil {
		return nil, status.Error(codes.InvalidArgument, "no such pairing")
	}
	// Fifteen digits name a minute, so the message may be as young or as old as any instant of it.
	now, last := time.Now(), minute.Add(time.Minute)
	if last.Before(now.Add(-p.window())) || minute.After(now.Add(p.window())) {
		return nil, status.Error(codes.InvalidArgument, "reqdate: outside the window")
	}
	text, err := envelope.Requestor()
	requestor, known := requestorTypes[text]
	if err != nil || !known {
		return nil, status.Error(codes.InvalidArgument, "requestorType: FIU or LSP")
	}

	plaintext, err := envelope.Open(schemes[p.Scheme], p.Secret)
	if err != nil || !utf8.ValidString(plaintext) {
		return nil, errUnreadable
	}
	members, err := wire.ReadRedirect(plaintext, wire.Repeated)
	if err != nil || check(members) != nil {
		return nil, errUnreadable
	}
	response := &redirectv1.DecodeRedirectResponse{
		FiuId: p.FIU,
		AaId:  p.AA,
		Redirect: &redirectv1.Redirect{
			Txnid: members.TxnID, Sessionid: members.SessionID, Userid: members.UserID, Redirect: members.Redirect,
			Srcref: members.SrcRef, Fipid: members.FIPID, Email: members.Email, Pan: members.PAN, Dob: members.DOB,
			IsoLanguageCode: members.ISOLanguageCode, Extra: members.Extra,
		},
		RequestorType: requestor,
		IssueTime:     timestamppb.New(issue),
		Age:           durationpb.New(now.Sub(issue)),
		SecretId:      secretID,
		PrimarySecret: true,
		ReplayUntil:   timestamppb.New(last.Add(p.window())),
	}
	if len(members.Extra) > 0 {
		response.Deviations = []redirectv1.Deviation{redirectv1.Deviation_DEVIATION_EXTRA_MEMBER}
	}
	return response, nil
}

// parse reads the parameters of a whole URL or of a query string; unknown ones are ignored.
func parse(source string) (wire.Envelope, error) {
	query, _, _ := strings.Cut(source, "#")
	if _, after, found := strings.Cut(query, "?"); found {
		query = after
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return wire.Envelope{}, fmt.Errorf("url: %w", err)
	}
	for _, name := range []string{"fi", "reqdate", "ecreq", "iv", "requestorType"} {
		if len(values[name]) > 1 {
			return wire.Envelope{}, fmt.Errorf("%s: repeated", name)
		}
	}
	envelope := wire.Envelope{
		FI: values.Get("fi"), Date: values.Get("reqdate"), Message: values.Get("ecreq"), IV: values.Get("iv"),
		RequestorType: values.Get("requestorType"),
	}
	if envelope.FI == "" || envelope.Date == "" || envelope.Message == "" {
		return wire.Envelope{}, fmt.Errorf("url: fi, reqdate or ecreq is missing")
	}
	return envelope, nil
}

// parseDate reads the minute that 15 digits name, and the instant if the last three are milliseconds.
func parseDate(text string) (minute, issue time.Time, err error) {
	if len(text) != 15 {
		return minute, issue, fmt.Errorf("reqdate: 15 digits")
	}
	if minute, err = time.Parse("020120061504", text[:12]); err != nil {
		return minute, issue, fmt.Errorf("reqdate: %w", err)
	}
	millis, err := strconv.ParseUint(text[12:], 10, 16)
	if err != nil {
		return minute, issue, fmt.Errorf("reqdate: %w", err)
	}
	return minute, minute.Add(time.Duration(millis) * time.Millisecond), nil
}

// check returns the names of the required members that are missing or not in their form.
func check(members wire.Redirect) error {
	name, handle, _ := strings.Cut(members.UserID, "@")
	scheme, rest, _ := strings.Cut(members.Redirect, "://")
	switch {
	case len(members.TxnID) != 36 || uuid.Validate(members.TxnID) != nil:
		return fmt.Errorf("redirect.txnid: a UUID")
	case name == "" || handle == "" || strings.ContainsAny(members.UserID, " \t\r\n"):
		return fmt.Errorf("redirect.userid: name@handle")
	case scheme == "" || rest == "" || strings.ContainsAny(members.Redirect, " \t\r\n\\"):
		return fmt.Errorf("redirect.redirect: an absolute URL")
	case len(members.SrcRef) == 0 || slices.Contains(members.SrcRef, ""):
		return fmt.Errorf("redirect.srcref: at least one, none empty")
	}
	return nil
}

func readKeyring(path string) (map[key]*pairing, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var listed []*pairing
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, err
	}
	pairings := make(map[key]*pairing, len(listed))
	for _, p := range listed {
		if _, known := schemes[p.Scheme]; !known {
			return nil, fmt.Errorf("%s, %s: unknown scheme %q", p.FIU, p.AA, p.Scheme)
		}
		pairings[key{p.FIU, p.AA}] = p
	}
	return pairings, nil
}

func main() {
	listen := flag.String("listen", "127.0.0.1:50051", "host:port")
	keyring := flag.String("keyring", "", "JSON file with the pairings")
	flag.Parse()
	pairings, err := readKeyring(*keyring)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	rival := grpc.NewServer()
	redirectv1.RegisterRedirectServiceServer(rival, &server{pairings: pairings})
	fmt.Println("serving") // connections wait from Listen on
	log.Fatal(rival.Serve(listener))
}
