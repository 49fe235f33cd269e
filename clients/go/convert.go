package redirect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	redirectv1 "aa/redirect/v1"
)

// Converts between the types of this package and those of the proto. It checks nothing that the service checks.

func (r EncodeRedirectRequest) proto() (*redirectv1.EncodeRedirectRequest, error) {
	requestor, known := numberOf[redirectv1.RequestorType](r.RequestorType, "REQUESTOR_TYPE_", redirectv1.RequestorType_value)
	if !known {
		return nil, fmt.Errorf("redirect: RequestorType is RequestorFIU, RequestorLSP or empty, not %q", string(r.RequestorType))
	}
	return &redirectv1.EncodeRedirectRequest{
		FiuId: r.FIU, AaId: r.AA, Redirect: r.Redirect.proto(), RequestorType: requestor, IssueTime: instant(r.IssueTime),
	}, nil
}

func (r Redirect) proto() *redirectv1.Redirect {
	return &redirectv1.Redirect{
		Txnid: r.TxnID, Sessionid: r.SessionID, Userid: r.UserID, Redirect: r.Redirect, Srcref: r.SrcRef, Fipid: r.FIPID,
		Email: r.Email, Pan: r.PAN, Dob: r.DOB, IsoLanguageCode: r.ISOLanguageCode, Extra: r.Extra,
	}
}

func redirectOf(r *redirectv1.Redirect) Redirect {
	return Redirect{
		TxnID: r.GetTxnid(), SessionID: r.GetSessionid(), UserID: r.GetUserid(), Redirect: r.GetRedirect(),
		SrcRef: slices.Clone(r.GetSrcref()), FIPID: slices.Clone(r.GetFipid()),
		Email: r.GetEmail(), PAN: r.GetPan(), DOB: r.GetDob(), ISOLanguageCode: r.GetIsoLanguageCode(),
		Extra: maps.Clone(r.GetExtra()),
	}
}

func (r DecodeRedirectRequest) proto() (*redirectv1.DecodeRedirectRequest, error) {
	request := &redirectv1.DecodeRedirectRequest{AaId: r.AA, AttemptId: attemptID(r.AttemptID)}
	if err := oneSource(r.URL, r.Params != nil); err != nil {
		return nil, err
	}
	if p := r.Params; p != nil {
		request.Source = &redirectv1.DecodeRedirectRequest_Params{Params: &redirectv1.RedirectParams{
			Fi: p.FI, Reqdate: p.ReqDate, Ecreq: p.ECReq, Iv: p.IV, RequestorType: p.RequestorType,
		}}
	} else {
		request.Source = &redirectv1.DecodeRedirectRequest_Url{Url: escaped(r.URL)}
	}
	return request, nil
}

func (r EncodeCallbackRequest) proto() (*redirectv1.EncodeCallbackRequest, error) {
	status, known := numberOf[redirectv1.CallbackStatus](r.Callback.Status, "CALLBACK_STATUS_", redirectv1.CallbackStatus_value)
	if !known {
		return nil, fmt.Errorf("redirect: Callback.Status is Success or Failure, not %q", string(r.Callback.Status))
	}
	return &redirectv1.EncodeCallbackRequest{
		FiuId: r.FIU, AaId: r.AA, RedirectUrl: r.RedirectURL, IssueTime: instant(r.IssueTime), SecretId: r.SecretID,
		Callback: &redirectv1.Callback{
			Txnid: r.Callback.TxnID, Sessionid: r.Callback.SessionID, Userid: r.Callback.UserID, Status: status,
			Errorcode: r.Callback.ErrorCode, Srcref: r.Callback.SrcRef, Extra: r.Callback.Extra,
		},
	}, nil
}

func callbackOf(c *redirectv1.Callback) Callback {
	return Callback{
		TxnID: c.GetTxnid(), SessionID: c.GetSessionid(), UserID: c.GetUserid(), ErrorCode: c.GetErrorcode(),
		Status: nameOf[CallbackStatus](c.GetStatus(), "CALLBACK_STATUS_"),
		SrcRef: slices.Clone(c.GetSrcref()), Extra: maps.Clone(c.GetExtra()),
	}
}

func (r DecodeCallbackRequest) proto(expectation Expectation) (*redirectv1.DecodeCallbackRequest, error) {
	request := &redirectv1.DecodeCallbackRequest{FiuId: r.FIU, AttemptId: attemptID(r.AttemptID)}
	switch expected := expectation.(type) {
	case Expected:
		request.Expected = expected.proto()
	case NotCompared:
	default:
		return nil, errors.New("redirect: say what the callback must answer, with Expected; NotCompared leaves it out")
	}
	if err := oneSource(r.URL, r.Params != nil); err != nil {
		return nil, err
	}
	if p := r.Params; p != nil {
		request.Source = &redirectv1.DecodeCallbackRequest_Params{Params: &redirectv1.CallbackParams{
			Fi: p.FI, Resdate: p.ResDate, Ecres: p.ECRes, Iv: p.IV,
		}}
	} else {
		request.Source = &redirectv1.DecodeCallbackRequest_Url{Url: escaped(r.URL)}
	}
	return request, nil
}

func oneSource(url string, params bool) error {
	if url != "" && params {
		return errors.New("redirect: give URL or Params, not both")
	}
	return nil
}

// escaped percent-encodes bytes of a browser's URL that are not UTF-8, which protobuf cannot carry. The URL means the same.
func escaped(url string) string {
	if utf8.ValidString(url) {
		return url
	}
	var text strings.Builder
	for i, r := range url {
		if _, size := utf8.DecodeRuneInString(url[i:]); r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&text, "%%%02X", url[i])
		} else {
			text.WriteRune(r)
		}
	}
	return text.String()
}

// instant leaves the zero time out: the service then takes now.
func instant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// timeOf is the zero time for an absent instant.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
