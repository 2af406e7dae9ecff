//! [`Figures`]: metrics that somebody else keeps, as text.

use std::fmt::{Display, Write as _};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process begins anew.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A text that metrics are added to. All samples of a metric follow each other, as the format asks.
#[derive(Debug, Default)]
pub struct Figures(String);

impl Figures {
    pub(super) const fn after(text: String) -> Self {
        Self(text)
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Begins a metric, whose [samples](Self::sample) come next. `help` is one line.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A sample of the metric that was begun.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        if !labels.is_empty() {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            self.0.push_str(&format!("{{{}}}", labels.join(",")));
        }
        writeln!(self.0, " {value}").expect("a string takes what is written");
    }

    /// A metric of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_lines_of_the_text_format() {
        let mut figures = Figures::default();
        figures.metric("a_total", Kind::Counter, "What.");
        figures.sample("a_total", &[("x", "1"), ("y", "q\"\\\n")], 3);
        figures.single("b", Kind::Gauge, "That.", 0.5);
        assert_eq!(
            figures.into_text(),
            "# HELP a_total What.\n# TYPE a_total counter\n\
             a_total{x=\"1\",y=\"q\\\"\\\\\\n\"} 3\n\
             # HELP b That.\n# TYPE b gauge\nb 0.5\n"
        );
    }
}
