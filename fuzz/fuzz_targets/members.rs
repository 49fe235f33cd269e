//! Members that were read and can be written read back the same, in every list syntax.
//!
//! An input is a byte that chooses conventions, one that chooses the leg, and the text.
#![no_main]

use std::collections::BTreeMap;

use aa_redirect::codec::{
    Deviation, Deviations, form,
    members::{read_callback, read_redirect, write_callback, write_redirect},
    profile::{Conventions, ListSyntax},
};
use aa_redirect_fuzz::{check_callback, check_redirect, conventions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [choice, leg, text @ ..] = input else { return };
    let conventions = conventions(*choice);
    let syntaxes = ListSyntax::ALL;
    if leg % 2 == 0 {
        let Ok((read, deviations)) = read_redirect(text, &conventions) else { return };
        check_redirect(&read, &deviations);
        let is_written = !form::is_absent_word(&read.email);
        if !is_written || !are_writable(&read.srcref, &read.extra) || !are_writable(&read.fipid, &read.extra) {
            return;
        }
        for lists in syntaxes {
            let conventions = Conventions { lists, ..conventions };
            let text = write_redirect(&read, lists);
            let (again, deviations) = read_redirect(text.as_bytes(), &conventions).expect("written members are read");
            assert!(again == read, "{lists:?}: {:?}", &**text);
            check_redirect(&again, &deviations);
            are_of_the_sender(&deviations);
        }
    } else {
        let Ok((read, deviations)) = read_callback(text, &conventions) else { return };
        check_callback(&read, &deviations);
        if !are_writable(&read.srcref, &read.extra) {
            return;
        }
        for lists in syntaxes {
            let conventions = Conventions { lists, ..conventions };
            let text = write_callback(&read, lists);
            let (again, deviations) = read_callback(text.as_bytes(), &conventions).expect("written members are read");
            assert!(again == read, "{lists:?}: {:?}", &**text);
            check_callback(&again, &deviations);
            are_of_the_sender(&deviations);
        }
    }
});

/// Whether list items and extra members have the form that encoding requires.
fn are_writable(items: &[String], extra: &BTreeMap<String, String>) -> bool {
    items.iter().all(|item| form::is_list_item(item)) && extra.keys().all(|name| form::is_extra_name(name))
}

/// Checks that only deviations of the members themselves are still reported.
fn are_of_the_sender(deviations: &Deviations) {
    let own = [Deviation::TxnidNotUuid, Deviation::ExtraMember, Deviation::StatusMismatch];
    assert!(deviations.kinds().all(|deviation| own.contains(&deviation)), "{deviations:?}");
}
