//! Writes lists as real senders do.

use aa_redirect::codec::{Deviation, Deviations, profile::ListSyntax};

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Repeated,
    /// `srcref[]=a`, as PHP and qs write it.
    Brackets,
    /// `srcref[0]=a`
    Indexed,
    /// `srcref="a"`
    Quoted,
    Comma,
    Braces,
    Json,
    /// `[a,b]`, as Java prints a list.
    Java,
    /// `['a', 'b']`
    Python,
    /// `[a b]`
    Go,
    /// `a%26srcref%3Db`
    Joined,
}

/// How one list is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) syntax: Syntax,
    /// The text after each comma.
    pub(crate) blank: bool,
    /// Whether there is another comma at the end.
    pub(crate) last_comma: bool,
    /// The blanks around the first value.
    pub(crate) around: (&'static str, &'static str),
}

impl List {
    /// The names and values of the members that carry `items`.
    pub(crate) fn values(
        self,
        name: &'static str,
        items: &[String],
        own: ListSyntax,
        found: &mut Deviations,
    ) -> Vec<(String, String)> {
        let glue = if self.blank { ", " } else { "," };
        let end = if self.last_comma { "," } else { "" };
        let quoted = |quote: &str| items.iter().map(|item| format!("{quote}{item}{quote}")).collect::<Vec<_>>();
        let one = |value: String| vec![(name.to_owned(), value)];
        let each = |values: &[String]| values.iter().map(|value| (name.to_owned(), value.clone())).collect();
        // A blank in an item would be read as a blank between items.
        let has_blanks = items.iter().any(|item| item.contains(' '));
        let (mut values, deviates): (Vec<(String, String)>, bool) = match self.syntax {
            Syntax::Repeated => (each(items), false),
            Syntax::Quoted => (each(&quoted("\"")), true),
            Syntax::Brackets => (items.iter().map(|item| (format!("{name}[]"), item.clone())).collect(), true),
            Syntax::Indexed => {
                (items.iter().enumerate().map(|(at, item)| (format!("{name}[{at}]"), item.clone())).collect(), true)
            }
            Syntax::Comma => {
                (one(items.join(glue) + end), own != ListSyntax::Comma && (items.len() > 1 || self.last_comma))
            }
            Syntax::Braces => (one(format!("{{{}{end}}}", items.join(glue))), own != ListSyntax::Braces),
            Syntax::Json => (one(format!("[{}]", quoted("\"").join(glue))), own != ListSyntax::Json),
            Syntax::Go if !has_blanks => (one(format!("[{}]", items.join(" "))), true),
            Syntax::Java | Syntax::Go => {
                let end = if has_blanks && items.len() == 1 { "," } else { end };
                (one(format!("[{}{end}]", items.join(glue))), true)
            }
            Syntax::Python => (one(format!("[{}]", quoted("'").join(glue))), true),
            Syntax::Joined => (one(items.join(&format!("&{name}="))), items.len() > 1),
        };
        found.note_if(deviates, Deviation::ListSyntax, name);
        found.note_if(self.around != ("", ""), Deviation::Whitespace, name);
        let (_, first) = &mut values[0];
        *first = [self.around.0, first, self.around.1].concat();
        values
    }
}
