//! The two text forms of a page of metrics: Prometheus's own (version 0.0.4), which every scraper reads, and
//! OpenMetrics 1.0, which has exemplars. The library writes only the second form; this file makes the first from it.

/// A text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Plain,
    /// OpenMetrics, version 1.0.
    OpenMetrics,
}

impl Format {
    /// The form for an `Accept` header: OpenMetrics if the header names it with at least the quality of plain text,
    /// else plain text.
    pub fn accepted(accept: Option<&str>) -> Self {
        let Some(accept) = accept else { return Self::Plain };
        let open = quality(accept, &["application/openmetrics-text"]);
        let plain = quality(accept, &["text/plain", "text/*", "*/*"]);
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Plain }
    }

    /// Its `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The highest `q` (RFC 9110, section 12.4.2) that `accept` gives to any of `types`; 0 if it names none.
fn quality(accept: &str, types: &[&str]) -> f32 {
    let qualities = accept.split(',').filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let named = parts.next()?;
        if !types.iter().any(|known| known.eq_ignore_ascii_case(named)) {
            return None;
        }
        let given = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // A quality that is not a number counts as absent.
        given.map_or(Some(1.0), |given| given.parse().ok())
    });
    qualities.fold(0.0, f32::max)
}

/// The plain text of a page of OpenMetrics without exemplars: in it, a counter's family has the name of its samples, an
/// info is a gauge, and no line marks the end.
pub(super) fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + open.len() / 64);
    let mut help = None;
    for line in open.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ').map(|(_, words)| words);
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap_or((typed, "untyped"));
            let (ending, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            if let Some(help) = help.take() {
                text.extend(["# HELP ", name, ending, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, ending, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_scrapers_that_give_it_at_least_the_quality_of_plain_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (None, Format::Plain),
            (Some("*/*"), Format::Plain),
            (Some("text/html, */*;q=0.8"), Format::Plain),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text; version=1.0.0"), Format::OpenMetrics),
            (Some(prometheus), Format::OpenMetrics),
            (Some("text/plain;q=0.9, application/openmetrics-text;q=0.5"), Format::Plain),
            (Some("application/openmetrics-text;q=0"), Format::Plain),
            (Some("application/openmetrics-text;q=much"), Format::Plain),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn plain_text_names_a_family_like_its_samples() {
        let open = "# HELP a_calls Calls.\n# TYPE a_calls counter\na_calls_total{x=\"#\"} 1\n# HELP a_build It.\n\
                    # TYPE a_build info\na_build_info{version=\"1\"} 1\n# HELP a_s S.\n# TYPE a_s histogram\n# UNIT a_s seconds\n\
                    a_s_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let expected = "# HELP a_calls_total Calls.\n# TYPE a_calls_total counter\na_calls_total{x=\"#\"} 1\n\
                        # HELP a_build_info It.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n# HELP a_s S.\n\
                        # TYPE a_s histogram\na_s_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(plain(open), expected);
    }
}
