//! # Attacks, and why they fail here
//!
//! The format (Sahamati's redirection guidelines, v1.0.0 to v1.5.0, and the specification with `iv`) is encryption
//! without authentication, carried by the browser of somebody whom neither side trusts. This chapter goes through what
//! can be tried against it, says what stops it, and names the test that holds it. Where the format itself leaves a door
//! open, that is said too: no implementation that can talk to the others can shut it.
//!
//! The attacker sees and changes URLs, and calls the service as often as he can reach it. Who holds a pairing's secret
//! can write any message; that is no attack but what the secret is for.
//!
//! # Padding oracle
//!
//! CBC with PKCS#7 and no MAC: whoever can tell bad padding from bad contents decrypts a block in some 2,000 queries
//! (Vaudenay, 2002). Four walls:
//!
//! - **One face.** Wrong padding, secret, UTF-8, escape, member, a forbidden host and a spent budget all answer
//!   `UNDECIPHERABLE`, byte for byte the same in headers, body and trailers. *`tests/attacks.rs`:
//!   `every_failure_answers_with_the_same_bytes_in_headers_body_and_trailers`*
//! - **One time.** Unpadding takes the same time whatever the padding is, by the method of dudect (Reparaz, Balasch,
//!   Verbauwhede, 2017): |t| must stay under 10, and a control that leaks must exceed it. *`benches/timing/main.rs`;
//!   `src/codec/cipher.rs`: `padding_is_read_as_the_library_reads_it`*
//! - **One tick.** What differs behind the padding, such as how far members were read, is hidden by the clock: when all
//!   of its work is done, a failure leaves at the first millisecond of the process after a whole number of ticks of 5 ms
//!   since its decryption began. Counted from there, since a caller could sit on the edge of ticks that come by
//!   themselves; and waited for by a thread of its own, since the runtime's timers tell when the work ended.
//!   *`benches/timing/socket.rs`; `src/service/tick.rs`: `a_failure_leaves_whole_ticks_after_its_work_began`;
//!   `tests/attacks.rs`: `every_failure_waits_for_a_tick_of_its_own`*
//! - **A failure budget.** That a message *opens* is told by design, so the number of questions is bounded: 32 failures
//!   for each (pairing, date, last block), 4,096 for each (pairing, date). Past either, messages are answered without
//!   decrypting. A query that asks for the padding must end in the block that it is to read, and a byte takes 128
//!   queries in the mean: with 32 the attack gets less than half a byte of 16. *`tests/attacks.rs`:
//!   `within_the_budget_a_padding_attack_reads_less_than_a_byte_of_a_block`,
//!   `without_a_budget_a_padding_attack_would_read_a_whole_block` (the attack is a real one),
//!   `of_a_thousand_failures_at_once_no_more_are_decrypted_than_the_budget_has`,
//!   `a_message_in_another_form_or_on_the_other_leg_has_no_budget_of_its_own`, `a_failure_of_every_kind_is_charged`*
//!
//! # Format oracle
//!
//! A query need not ask for the padding. With `hkdf-iv`, who flips bits of the first block through `iv` learns from what
//! still opens which byte is where: nearly every change opens, and only a wrong `&` or `%` fails. Failures alone bound
//! that badly: ten characters of a `txnid` cost a dozen, and with blocks dropped from the front other members come within
//! reach of `iv`. But no two sound messages end in the same block, so **of all messages that end in one, only the first
//! that opens does**, as often as it comes; every other one that opens is a failure like any, and charged. Who comes
//! before the receiver learns of one message that it opened, and that his failures before it did not. *`tests/attacks.rs`:
//! `of_a_message_and_all_that_is_made_from_it_only_the_first_that_opens_does`,
//! `without_a_budget_what_opens_and_what_does_not_would_tell_characters`*
//!
//! **What remains of both.** A lucky guess: the first of 16 bytes falls within 32 queries once in eight blocks. Counters
//! and what is remembered are one process's: `n` replicas give `n` budgets, and a restart gives a new one. A smaller
//! `failure_budget` makes up for it, at a price that [`crate::keyring::budget`] names. Half a million messages that opened
//! are remembered; a later one takes the place of an earlier one, and who waits for that has one more question. With
//! `failure_budget = 0` nothing bounds these attacks. And ticks bound what an answer's time tells, not what one sees who
//! measures another call that shares the core.
//!
//! **What a flooder can lock out.** Who has seen a message can shut *it* out, by 32 failures or by one change of it that
//! opens before it; no other is touched. Who has seen none can, with 4,096 failures, shut one date of one pairing; with
//! `millis`, one millisecond of each second of one minute. *`tests/attacks.rs`:
//! `who_has_seen_a_message_can_shut_it_out_and_nothing_else`,
//! `who_has_seen_nothing_can_shut_out_one_date_of_one_pairing_after_4096_failures`*. A flood of millions of failures
//! fills the table of counters, and messages of all pairings then share them, those with the smallest budgets first;
//! [`crate::keyring::budget`] has the odds. *`src/keyring/budget/tests.rs`:
//! `a_spent_counter_is_remembered_while_its_date_can_be_accepted_whatever_else_fails`;
//! `src/keyring/budget/sketch.rs`: `others_failures_raise_no_cell_that_they_need_not`*
//!
//! # Forged `fi`
//!
//! `fi` is masked with the date that stands beside it. Anybody reads it and anybody writes it; it picks the pairing
//! whose secret is tried, and proves nothing. What proves the sender is that the secret of that pairing opens the
//! message. It is read strictly: at most 128 bytes of UTF-8 without control characters, and it stays out of logs and
//! labels until the keyring holds it. *`tests/codec.rs`: `a_sender_has_at_most_128_bytes_and_no_control_character`,
//! `a_message_goes_with_its_scheme_and_key_alone`*. A secret that two pairings share breaks this, so the keyring warns
//! of one. *`tests/keyring.rs`: `a_short_secret_and_one_of_two_pairings_are_warned_of`*
//!
//! `requestorType` is masked the same way and lies outside the encryption: it is a hint, never a permission.
//!
//! # Replay
//!
//! A message opens again and again while its date is inside the window. What the service remembers of it keeps changed
//! ones out, not repeated ones: with several replicas it could not. **The caller must**: remember the `txnid` until
//! `replay_until`, and act on it once. *`tests/calls.rs`:
//! `the_answer_says_when_a_message_was_issued_and_how_long_it_can_be_replayed`*
//!
//! - An FIU knows the `txnid`s that it issued: it accepts each once, and none that it did not issue.
//! - An AA cannot know them, and with `hkdf-iv` a `txnid` can be changed on the way (see [bit
//!   flipping](#bit-flipping)). It should remember `reqdate` and the last 16 bytes of what `ecreq` decodes to as well:
//!   a message with another last block is garbled, and has to get past the failure budget of its date. (One replica
//!   refuses by itself what ends in the last block of another message.)
//! - With `check_resdate = false` there is no window and no `replay_until`; the FIU's own `txnid`s are then all that
//!   stops a replay. *`tests/calls.rs`: `a_pairing_may_leave_resdate_unchecked`*
//!
//! # Downgrade
//!
//! Leaving out `iv` does not turn `hkdf-iv` into `pbkdf2`, nor does adding one the reverse: the keyring fixes the
//! scheme, the message never does. Either is `SCHEME_MISMATCH`, before any key is derived. *`tests/attacks.rs`:
//! `a_message_that_gains_or_loses_its_iv_is_refused_on_both_legs_before_any_key`*
//!
//! # Open redirect
//!
//! `redirect` is where the AA sends the user, with an answer. It comes out of a message that opened, so the FIU wrote
//! it; an FIU that passes on a URL of its user's making hands its users to strangers.
//!
//! - With `redirect_hosts`, other hosts are refused: on encode by name, on decode as any other failure. Hosts are
//!   compared as a browser resolves them (WHATWG URL). *`src/keyring/hosts.rs`:
//!   `hosts_are_compared_as_a_browser_resolves_them`; `tests/calls.rs`: `a_forbidden_host_is_refused_on_encode`;
//!   `tests/attacks.rs`: `every_failure_answers_with_the_same_bytes_in_headers_body_and_trailers` (a forbidden host)*
//! - `javascript`, `data`, `vbscript`, `file` and `blob`, backslashes, blanks and control characters are refused
//!   always. *`src/codec/form.rs`: `a_redirect_cannot_run_code_or_hide_its_host`*
//! - `intent` is refused where there are `redirect_hosts`: its fragment says where the browser ends. What the host of
//!   another app's scheme means is up to the app.
//! - Without `redirect_hosts` any host is allowed, and `http` is in any case. An FIU's own open redirect behind an
//!   allowed host is out of reach here.
//!
//! # Date games
//!
//! The date is salt, mask and window at once.
//!
//! - Salt and mask are the received characters, never a date written anew: another spelling of the same instant is
//!   another key. *`src/codec/date.rs`: `outer_blanks_are_no_part_of_salt_and_mask`; `tests/deviations.rs`:
//!   `dates_of_14_and_17_digits_are_read`*. So the date cannot be changed without the secret.
//! - The window has two sides, so that a date ahead cannot be kept for later. *`tests/attacks.rs`:
//!   `what_is_refused_for_free_derives_no_key`*
//! - 15 digits are ambiguous: milliseconds in the guidelines to v1.4.0, seconds and tenths in v1.5.0. They name a
//!   minute, and a message is refused only where every reading lies outside. **This costs up to 60 s**: a window of 180
//!   s admits some messages for 240. A pairing that pins `read_date = "tenths"`, or writes `full`, does not pay it.
//!   *`tests/calls.rs`: `a_date_is_refused_only_where_every_reading_lies_outside_the_window`,
//!   `a_pinned_reading_refuses_digits_that_are_none`*
//! - A sender that writes local time is five and a half hours ahead, and is refused with that hint, never shifted.
//!   *`tests/attacks.rs`: `a_date_in_indian_time_is_ahead_and_never_shifted`*
//! - What is no date of the calendar, or no ASCII digits, is none. *`tests/calls.rs`:
//!   `what_needs_no_key_to_see_is_told_apart`*
//!
//! # Log injection
//!
//! Ids that a message brings reach neither log nor labels; only those of a pairing that the keyring holds do. A request
//! id is taken from a caller only as `[A-Za-z0-9._-]{1,64}`. *`tests/attacks.rs`:
//! `nothing_that_a_message_or_a_header_brings_makes_a_line_of_the_log`; `src/telemetry/call/tests.rs`:
//! `a_request_id_is_taken_where_it_is_one`*. An unknown pairing's ids stand in the answer to who sent them; a caller
//! that logs answers must escape them.
//!
//! # Exhaustion
//!
//! - **Key derivation** (65,536 rounds, 6 to 16 ms of a core). Whatever can be refused without a key is refused before:
//!   fields, URL, date, Base64, pairing, scheme, window, a spent budget. *`tests/attacks.rs`:
//!   `what_is_refused_for_free_derives_no_key`*. Derivations wait in a queue of 1,024, at most half of it one pairing's
//!   while others wait, served in turn; a full queue takes from the pairing that has the most, else refuses at once.
//!   *`src/kdf_pool.rs`:
//!   `a_flood_at_one_pairing_leaves_room_and_turns_for_another`,
//!   `a_full_queue_refuses_at_once_and_says_when_to_come_back`; `src/kdf_pool/queue.rs`:
//!   `jobs_that_nobody_wants_make_room`, `two_greedy_owners_give_way_to_a_third`*. Who forges `fi` with fresh dates can
//!   fill a `pbkdf2` pairing's share, which falls as more pairings wait: the
//!   guideline gives no way to tell such a message from a sound one for less than a key. Limits for each address belong
//!   in front.
//! - **Sizes.** A request has at most 64 KiB, a URL, `ecreq` or `ecres` 48 KiB, a member 8 KiB and a list 200 entries
//!   on encode, a parameter 8 percent-decodings. *`tests/calls.rs`: `limits_are_exact`,
//!   `a_request_over_64_kib_is_refused_with_a_reason`; `tests/codec.rs`:
//!   `eight_percent_decodings_are_tried_and_no_more`; `tests/attacks.rs`:
//!   `a_reflection_request_over_64_kib_is_not_taken`*. `cargo bench --bench worst` measures the costliest inputs of
//!   those sizes, `ONLY=refusals cargo bench --bench load` what a refusal costs.
//! - **HTTP/2.** 4,096 calls in flight, 200 on a connection, 16 KiB of headers, a bound on resets (CVE-2023-44487), 5 s
//!   for the handshakes, keep-alive, an age. At the cap the longest-idle connection makes room.
//!   *`tests/connections.rs`: `who_says_nothing_is_closed_and_others_are_served_meanwhile`,
//!   `headers_over_the_limit_are_refused_and_the_connection_serves_on`,
//!   `who_opens_and_resets_without_end_is_told_to_calm_down`, `at_the_cap_the_longest_idle_connection_is_told_to_go`*
//! - **Memory.** A request takes one of the 4,096 places only when it has arrived whole, within its deadline or a minute.
//!   What requests have brought and answers that nobody reads hold is counted for each connection; above 128 MiB in all,
//!   the connection that holds the most is cut. *`tests/interop/go/hostile_test.go`: `TestReadersThatNeverRead`,
//!   `TestRequestsThatNeverEnd`, `TestTenThousandIdleConnections`, `TestFloods`*
//! - **What remains.** Many attackers that each hold little can make an honest connection the one that holds the most.
//!   Let only callers connect that you know.
//!
//! # Key reuse under `pbkdf2`
//!
//! The IV is always zero and the key depends on the date alone, so two messages of one pairing with one date are
//! encrypted alike: equal beginnings show as equal blocks. A `millis` date has no more than 1,000 values a minute, a
//! `tenths` date ten a second; busy senders repeat them whatever they do. `date_reuse_milliseconds` repeats them on
//! purpose, for at most a second, to save derivations. *`tests/calls.rs`:
//! `messages_of_a_span_share_a_date_where_the_pairing_reuses_it`*
//!
//! What softens it: `txnid` is written first and is random (122 bits of a UUID, 36 of them in the first block), so that
//! messages differ from the first block on, and CBC carries that difference through all later ones. *`tests/calls.rs`:
//! `members_are_written_for_readers_of_every_kind`, `an_empty_txnid_becomes_a_random_uuid`*. A sender that gives the
//! same `txnid` twice gives that up. `hkdf-iv` has a fresh random IV for each message.
//!
//! # Bit flipping
//!
//! Nothing authenticates a message. **The format makes it impossible to tell that one was changed**; this is what a
//! change can reach.
//!
//! - `hkdf-iv`: the IV is a parameter, and a bit flipped in it flips the same bit of the first block, which is `txnid=`
//!   and the first ten characters of the `txnid`. Who sees a message can thus change those ten characters at will; a
//!   changed name is not opened. With blocks dropped from the front he can do so to the block that is first then, where
//!   he knows or guesses what it holds: a `txnid` wholly of his own, without the members that stood before. So a `txnid`
//!   read from `ecreq` is no proof of being new. Of all these the service opens one, the first (see [format
//!   oracle](#format-oracle)). *`tests/attacks.rs`:
//!   `a_changed_iv_reaches_the_first_ten_characters_of_the_txnid_and_nothing_else`,
//!   `of_a_message_and_all_that_is_made_from_it_only_the_first_that_opens_does`; `tests/properties/damage.rs`:
//!   `a_changed_byte_of_the_iv_flips_one_byte`*
//! - Elsewhere, in both schemes, a changed byte of ciphertext garbles its own 16 bytes and flips one byte of the next.
//!   The garbage must happen to be UTF-8 and leave every member readable for the message to open; misses are charged to
//!   the failure budget. Members that lie elsewhere come out unchanged. *`tests/properties/damage.rs`:
//!   `a_changed_byte_of_ciphertext_garbles_its_block_and_flips_one_byte_of_the_next`,
//!   `a_message_with_a_changed_byte_is_not_opened_or_has_every_member_that_lies_elsewhere`,
//!   `a_message_whose_garbled_block_is_text_has_every_member_that_lies_elsewhere`*
//! - `sessionid` comes back as the AA read it. An FIU should not put anything into it that it trusts without a check of
//!   its own.
//!
//! What was consented to must be read from the AA's server-to-server interface, which is signed; `ecres` only brings
//! the user back.
//!
//! # Guessing ids and callers
//!
//! `PAIRING_UNKNOWN` tells who may call which pairings there are, one guess at a time. With a callers file, a pairing
//! that the caller may not use answers as one that is not held. *`tests/attacks.rs`:
//! `a_pairing_that_the_caller_may_not_use_answers_as_one_that_is_not_held`; `tests/callers.rs`:
//! `a_caller_may_use_what_its_lists_name_and_all_where_it_has_none`*. Tokens are compared by their SHA-256, every one,
//! in constant time. *`tests/callers.rs`: `a_caller_is_known_by_its_whole_token_alone`,
//! `each_of_several_tokens_leads_to_its_own_caller`*. Of a proxy's header only the last element counts, and only on a
//! trusted address. *`src/callers/forwarded.rs`: `nothing_before_the_last_element_gives_a_name`*. Without a callers
//! file everybody who can connect may call.
//!
//! # Stolen secrets
//!
//! There is no forward secrecy: a secret opens every message that was ever sealed with it, those of old logs too, and
//! the URLs stand in browsers' histories and proxies' logs. Rotate: a second secret decodes beside the first.
//! *`tests/calls.rs`: `an_old_secret_opens_and_answers_but_does_not_encode`*. A passphrase (the guidelines' sample has
//! 14 characters) can be guessed offline from one message that was seen, at 65,536 rounds a guess; with `hkdf-iv` at
//! one. Take 32 random characters from `aa-redirect keygen`. *`src/cli/keygen.rs`:
//! `a_secret_has_32_characters_of_the_alphabet_and_is_new_each_time`*
//!
//! Secrets come from files or the environment, never from the keyring's text; keys and messages are zeroed when
//! dropped, as far as a library can tell, and stay out of logs, errors and `Debug`. *`tests/keyring.rs`:
//! `a_secret_written_into_the_file_is_not_repeated_in_the_refusal`; `tests/calls.rs`:
//! `no_debug_output_holds_a_payload`*. A reload leaves neither a dropped secret nor its keys in the memory of the
//! process, and no core is dumped. *`tests/operations/memory.rs`:
//! `a_dropped_secret_and_its_hkdf_keys_are_gone_from_memory`, `a_dropped_secret_and_its_pbkdf2_keys_are_gone_from_memory`;
//! `tests/operations/settings.rs`: `no_core_is_dumped`*
//!
//! A secret given in an environment variable is overwritten where `/proc/<pid>/environ` shows it, before a port is
//! bound, and a reload that drops it leaves none. *`tests/operations/memory.rs`:
//! `a_secret_of_the_environment_is_not_shown_and_other_variables_are`,
//! `a_dropped_secret_of_the_environment_is_gone_from_memory`*. Until then, for the milliseconds of the start, and in
//! what started the process (a unit file, a pod's description) it can be read. Where the system forbids the writing,
//! the log warns. Prefer files.
//!
//! # Timing
//!
//! Beside the padding: what a *success* takes depends on its length and on which secret opened it, both of which the
//! answer tells anyway. A remembered `pbkdf2` key answers sooner than a new one, which tells that a message with that
//! date was there before: the date is in the open. AES runs on the processor's own instructions where it has them and
//! is bitsliced elsewhere; HMAC and SHA-256 have no branch or index that depends on the secret. Nothing here guards
//! against who shares the machine and measures its power or its caches.
