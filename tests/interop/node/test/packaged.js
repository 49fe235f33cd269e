// Calls through the Node package, so that its requests and results carry everything that these tests seal and open. The
// assertions are on the proto's messages, as ./service.js gives them.

import { NOT_COMPARED, RedirectClient } from 'aa-redirect';

/** A client of `address`, for `call`. */
export const connect = (address) => new RedirectClient({ addresses: address, deadlineMillis: 60_000 });

/** One call; requests and answers are those of `call` in ./service.js. */
export async function call(client, method, request) {
  return CALLS[method](client, request);
}

const CALLS = {
  async encodeRedirect(client, { requestorType, issueTime, ...request }) {
    const sealed = await client.encodeRedirect({ ...request, ...options({ requestorType, issueTime }) });
    return { ...sealedFields(sealed), txnid: sealed.txnid };
  },
  async encodeCallback(client, { callback, issueTime, ...request }) {
    const status = short(callback.status);
    const sealed = await client.encodeCallback({ ...request, callback: { ...callback, status }, ...options({ issueTime }) });
    return sealedFields(sealed);
  },
  async decodeRedirect(client, request) {
    const opened = await client.decodeRedirect(request);
    const { txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, isoLanguageCode, extra } = opened.redirect;
    return {
      ...openedFields(opened),
      redirect: {
        ...{ txnid, sessionid, userid, redirect, srcref: [...srcref], fipid: [...fipid] },
        ...{ email, pan, dob, isoLanguageCode, extra: { ...extra } },
      },
      requestorType: `REQUESTOR_TYPE_${opened.requestorType ?? 'UNSPECIFIED'}`,
    };
  },
  async decodeCallback(client, { expected = NOT_COMPARED, ...request }) {
    const opened = await client.decodeCallback({ ...request, expected });
    const { txnid, sessionid, userid, status, errorcode, srcref, extra } = opened.callback;
    return {
      ...openedFields(opened),
      callback: {
        ...{ txnid, sessionid, userid, status: `CALLBACK_STATUS_${status}`, errorcode },
        ...{ srcref: [...srcref], extra: { ...extra } },
      },
      errorMessage: opened.errorMessage,
    };
  },
  async listPairings(client) {
    const pairings = [];
    for await (const pairing of client.pairings()) pairings.push(pairing);
    return { pairings };
  },
};

function options({ requestorType, issueTime }) {
  return {
    ...(requestorType && { requestorType: short(requestorType) }),
    ...(issueTime && { issueTime: new Date(issueTime.seconds * 1000 + issueTime.nanos / 1e6) }),
  };
}

/** The name of an enum's value without its prefix; undefined for UNSPECIFIED. */
function short(name) {
  const value = name.replace(/^(?:REQUESTOR_TYPE|CALLBACK_STATUS)_/, '');
  return value === 'UNSPECIFIED' ? undefined : value;
}

function sealedFields(sealed) {
  const { query, params, secretId, issueTime, expireTime } = sealed;
  return { url: urlOf(sealed), query, params: { ...params }, secretId, ...times({ issueTime, expireTime }) };
}

function urlOf(sealed) {
  try {
    return sealed.location;
  } catch (error) {
    if (error.reason !== 'LOCAL_WEBVIEW_MISSING') throw error;
    return '';
  }
}

function openedFields(opened) {
  const { fiuId, aaId, issueTime, ageMillis, secretId, primarySecret, deviations, replayUntil } = opened;
  return {
    ...{ fiuId, aaId, secretId, primarySecret, ...times({ issueTime, replayUntil }) },
    age: { seconds: Math.trunc(ageMillis / 1000), nanos: (ageMillis % 1000) * 1e6 },
    deviations: [...new Set(deviations.map(({ deviation }) => `DEVIATION_${deviation}`))],
  };
}

function times(dates) {
  const timestamp = (date) => ({ seconds: Math.floor(date / 1000), nanos: (date % 1000) * 1e6 });
  return Object.fromEntries(Object.entries(dates).map(([name, date]) => [name, date ? timestamp(date) : null]));
}
