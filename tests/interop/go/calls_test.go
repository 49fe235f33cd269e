// The tests call through the Go package, so that its requests and results carry everything that these tests seal and
// open. The assertions are on the proto's messages. A message that the package's types cannot express is sent as a
// proto message.
package interop

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"aa/redirect"
	redirectv1 "aa/redirect/v1"
)

// packaged makes calls with the package. Calls of ListPairings go out directly, because the package hides the pages.
type packaged struct {
	redirectv1.RedirectServiceClient
	client *redirect.Client
}

func newPackaged(connection grpc.ClientConnInterface) packaged {
	return packaged{redirectv1.NewRedirectServiceClient(connection), redirect.NewClientOn(connection, redirect.Options{})}
}

func (p packaged) EncodeRedirect(
	ctx context.Context, in *redirectv1.EncodeRedirectRequest, options ...grpc.CallOption,
) (*redirectv1.EncodeRedirectResponse, error) {
	if in.Redirect == nil || redirectv1.RequestorType_name[int32(in.RequestorType)] == "" || !expressible(in.IssueTime) {
		return p.RedirectServiceClient.EncodeRedirect(ctx, in, options...)
	}
	m := in.Redirect
	out, err := p.client.EncodeRedirect(ctx, redirect.EncodeRedirectRequest{
		FIU: in.FiuId, AA: in.AaId, RequestorType: named[redirect.RequestorType](in.RequestorType.String()), IssueTime: instant(in.IssueTime),
		Redirect: redirect.Redirect{
			TxnID: m.Txnid, SessionID: m.Sessionid, UserID: m.Userid, Redirect: m.Redirect, SrcRef: m.Srcref, FIPID: m.Fipid,
			Email: m.Email, PAN: m.Pan, DOB: m.Dob, ISOLanguageCode: m.IsoLanguageCode, Extra: m.Extra,
		},
	})
	if err != nil {
		return nil, err
	}
	url, err := out.Location()
	if err != nil && redirect.ReasonOf(err) != redirect.ReasonWebviewMissing {
		return nil, err
	}
	params := out.Params()
	return &redirectv1.EncodeRedirectResponse{
		Url: url, Query: out.Query(), Txnid: out.TxnID(), SecretId: out.SecretID(),
		IssueTime: timestamppb.New(out.IssueTime()), ExpireTime: timestamppb.New(out.ExpireTime()),
		Params: &redirectv1.RedirectParams{
			Fi: params.FI, Reqdate: params.ReqDate, Ecreq: params.ECReq, Iv: params.IV, RequestorType: params.RequestorType,
		},
	}, nil
}

func (p packaged) DecodeRedirect(
	ctx context.Context, in *redirectv1.DecodeRedirectRequest, options ...grpc.CallOption,
) (*redirectv1.DecodeRedirectResponse, error) {
	if len(options) > 0 { // the caller wants the trailer's bytes
		return p.RedirectServiceClient.DecodeRedirect(ctx, in, options...)
	}
	request := redirect.DecodeRedirectRequest{AA: in.AaId, URL: in.GetUrl(), AttemptID: in.AttemptId}
	if params := in.GetParams(); params != nil {
		request.Params = &redirect.RedirectParams{
			FI: params.Fi, ReqDate: params.Reqdate, ECReq: params.Ecreq, IV: params.Iv, RequestorType: params.RequestorType,
		}
	}
	out, err := p.client.DecodeRedirect(ctx, request)
	if err != nil {
		return nil, err
	}
	m := out.Redirect()
	kinds, details := repairs(out.Deviations())
	return &redirectv1.DecodeRedirectResponse{
		FiuId: out.FIU(), AaId: out.AA(), SecretId: out.SecretID(), PrimarySecret: out.PrimarySecret(),
		RequestorType: redirectv1.RequestorType(redirectv1.RequestorType_value["REQUESTOR_TYPE_"+string(out.RequestorType())]),
		IssueTime:     timestamppb.New(out.IssueTime()), Age: durationpb.New(out.Age()), ReplayUntil: timestamp(out.ReplayUntil()),
		ReplayKey: out.ReplayKey(), Reopened: out.Reopened(), FirstOpenTime: timestamp(out.FirstOpenTime()),
		Authenticated: out.Authenticated(), Deviations: kinds, DeviationDetails: details,
		Redirect: &redirectv1.Redirect{
			Txnid: m.TxnID, Sessionid: m.SessionID, Userid: m.UserID, Redirect: m.Redirect, Srcref: m.SrcRef, Fipid: m.FIPID,
			Email: m.Email, Pan: m.PAN, Dob: m.DOB, IsoLanguageCode: m.ISOLanguageCode, Extra: m.Extra,
		},
	}, nil
}

func (p packaged) EncodeCallback(
	ctx context.Context, in *redirectv1.EncodeCallbackRequest, options ...grpc.CallOption,
) (*redirectv1.EncodeCallbackResponse, error) {
	if in.Callback == nil || redirectv1.CallbackStatus_name[int32(in.Callback.Status)] == "" || !expressible(in.IssueTime) {
		return p.RedirectServiceClient.EncodeCallback(ctx, in, options...)
	}
	m := in.Callback
	out, err := p.client.EncodeCallback(ctx, redirect.EncodeCallbackRequest{
		FIU: in.FiuId, AA: in.AaId, RedirectURL: in.RedirectUrl, SecretID: in.SecretId, IssueTime: instant(in.IssueTime),
		Callback: redirect.Callback{
			TxnID: m.Txnid, SessionID: m.Sessionid, UserID: m.Userid, Status: named[redirect.CallbackStatus](m.Status.String()),
			ErrorCode: m.Errorcode, SrcRef: m.Srcref, Extra: m.Extra,
		},
	})
	if err != nil {
		return nil, err
	}
	params := out.Params()
	return &redirectv1.EncodeCallbackResponse{
		Url: out.Location(), Query: out.Query(), SecretId: out.SecretID(),
		IssueTime: timestamppb.New(out.IssueTime()), ExpireTime: timestamppb.New(out.ExpireTime()),
		Params: &redirectv1.CallbackParams{Fi: params.FI, Resdate: params.ResDate, Ecres: params.ECRes, Iv: params.IV},
	}, nil
}

func (p packaged) DecodeCallback(
	ctx context.Context, in *redirectv1.DecodeCallbackRequest, options ...grpc.CallOption,
) (*redirectv1.DecodeCallbackResponse, error) {
	if len(options) > 0 {
		return p.RedirectServiceClient.DecodeCallback(ctx, in, options...)
	}
	request := redirect.DecodeCallbackRequest{FIU: in.FiuId, URL: in.GetUrl(), AttemptID: in.AttemptId}
	if params := in.GetParams(); params != nil {
		request.Params = &redirect.CallbackParams{FI: params.Fi, ResDate: params.Resdate, ECRes: params.Ecres, IV: params.Iv}
	}
	var expectation redirect.Expectation = redirect.NotCompared{}
	if e := in.Expected; e != nil {
		expectation = redirect.Expected{TxnID: e.Txnid, SessionID: e.Sessionid, UserID: e.Userid, AA: e.AaId}
	}
	out, err := p.client.DecodeCallback(ctx, request, expectation)
	if err != nil {
		return nil, err
	}
	m := out.Callback()
	kinds, details := repairs(out.Deviations())
	return &redirectv1.DecodeCallbackResponse{
		FiuId: out.FIU(), AaId: out.AA(), ErrorMessage: out.ErrorMessage(), SecretId: out.SecretID(), PrimarySecret: out.PrimarySecret(),
		IssueTime: timestamppb.New(out.IssueTime()), Age: durationpb.New(out.Age()), ReplayUntil: timestamp(out.ReplayUntil()),
		ReplayKey: out.ReplayKey(), Reopened: out.Reopened(), FirstOpenTime: timestamp(out.FirstOpenTime()),
		Authenticated: out.Authenticated(), Deviations: kinds, DeviationDetails: details,
		Callback: &redirectv1.Callback{
			Txnid: m.TxnID, Sessionid: m.SessionID, Userid: m.UserID, Errorcode: m.ErrorCode, Srcref: m.SrcRef, Extra: m.Extra,
			Status: redirectv1.CallbackStatus(redirectv1.CallbackStatus_value["CALLBACK_STATUS_"+string(m.Status)]),
		},
	}, nil
}

// named returns the name of an enum's value as the package writes it.
func named[T ~string](name string) T {
	for _, prefix := range []string{"REQUESTOR_TYPE_", "CALLBACK_STATUS_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	if name == "UNSPECIFIED" {
		return ""
	}
	return T(name)
}

// expressible says whether a time.Time can carry an instant.
func expressible(t *timestamppb.Timestamp) bool {
	return t == nil || t.IsValid() && !t.AsTime().IsZero()
}

func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// repairs returns the deviations as the proto has them: each kind once, in the order of the enum, and each with its
// place.
func repairs(all []redirect.DeviationDetail) (kinds []redirectv1.Deviation, details []*redirectv1.DeviationDetail) {
	seen := map[redirectv1.Deviation]bool{}
	for _, detail := range all {
		kind := redirectv1.Deviation(redirectv1.Deviation_value["DEVIATION_"+string(detail.Deviation)])
		if !seen[kind] {
			kinds, seen[kind] = append(kinds, kind), true
		}
		details = append(details, &redirectv1.DeviationDetail{Deviation: kind, Place: detail.Place})
	}
	slices.Sort(kinds)
	return kinds, details
}
