//! What is logged to standard error, and how it looks.

use std::env;
use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal as _};

use registry_http::config::{Formatter, Log, LogLevel};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::format::{DefaultVisitor, Format, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry, Scope};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, registry};

use super::Failure;
use super::traces::Traces;

/// The variable that chooses what is logged, as everywhere in Rust.
pub(super) const FILTER: &str = "RUST_LOG";

/// How much is logged, which can be changed.
#[derive(Debug)]
pub(super) struct Level {
    filter: Handle<EnvFilter, Registry>,
    /// The environment chooses, and nothing else.
    is_fixed: bool,
}

impl Level {
    /// From now on so much is logged. `false` if the environment says otherwise.
    pub(super) fn set(&self, level: Option<LogLevel>) -> Result<bool, String> {
        if self.is_fixed {
            return Ok(false);
        }
        self.filter.reload(EnvFilter::new(directives(level))).map_err(|error| error.to_string())?;
        Ok(true)
    }
}

const fn directives(level: Option<LogLevel>) -> &'static str {
    match level {
        // What libraries have to say of each frame of HTTP/2 is not meant.
        Some(LogLevel::Debug) => "info,registry=debug,registry_http=debug,registry_store=debug",
        Some(level) => level.as_str(),
        None => "info",
    }
}

/// Logs as the environment says, or else the configuration. A line that cannot be written is lost, and no more. Traces are
/// collected whatever is logged.
pub(super) fn to_stderr(
    log: &Log,
    writer: BoxMakeWriter,
    traces: Option<&Traces>,
) -> Result<Level, Failure> {
    let chosen = env::var(FILTER).unwrap_or_default();
    let is_fixed = !chosen.is_empty();
    let directives = if is_fixed { &chosen } else { directives(log.level) };
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        Failure::usage(format!(
            "{FILTER}={directives}: {error}; expected levels such as info, or registry_http=debug,info"
        ))
    })?;
    let (filter, handle) = reload::Layer::new(filter);
    // To tell of what cannot be written it would write, and panic where that cannot be.
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = match log.formatter {
        Formatter::Text => lines
            .with_ansi(io::stderr().is_terminal() && log.fields.is_empty())
            .fmt_fields(TextFields)
            .event_format(Text { format: Format::default(), fields: log.fields.clone() })
            .boxed(),
        formatter => lines
            .with_ansi(false)
            .fmt_fields(JsonFields)
            .event_format(Json { names: Names::of(formatter), fields: log.fields.clone() })
            .boxed(),
    };
    let subscriber = registry().with(lines.with_filter(filter));
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(traces.map(Traces::layer));
    #[cfg(not(feature = "otel"))]
    let _ = traces;
    subscriber.init();
    Ok(Level { filter: handle, is_fixed })
}

/// The usual lines, with the fields of the configuration at their ends.
struct Text {
    format: Format,
    fields: Map<String, Value>,
}

impl<S> FormatEvent<S, TextFields> for Text
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, TextFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.fields.is_empty() {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(line.trim_end_matches('\n'))?;
        for (name, value) in &self.fields {
            match value {
                Value::String(text) if !text.contains(char::is_whitespace) => {
                    write!(writer, " {name}={text}")?;
                }
                value => write!(writer, " {name}={value}")?,
            }
        }
        writeln!(writer)
    }
}

/// The usual fields.
struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Logged(DefaultVisitor::new(writer, true));
        fields.record(&mut visitor);
        visitor.0.finish()
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let mut added = String::new();
        Self.format_fields(Writer::new(&mut added), fields)?;
        if !current.fields.is_empty() && !added.is_empty() {
            current.fields.push(' ');
        }
        current.fields.push_str(&added);
        Ok(())
    }
}

/// Passes on what is meant for logs.
struct Logged<V>(V);

/// What the fields of a span begin with that are there for traces alone.
const OF_TRACES: [&str; 4] = ["error.", "http.", "otel.", "url."];

fn is_logged(field: &str) -> bool {
    !OF_TRACES.iter().any(|beginning| field.starts_with(beginning))
}

impl<V: Visit> Visit for Logged<V> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if is_logged(field.name()) {
            self.0.record_debug(field, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if is_logged(field.name()) {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if is_logged(field.name()) {
            self.0.record_error(field, value);
        }
    }
}

/// What the parts of a line are called.
struct Names {
    time: &'static str,
    message: &'static str,
    version: bool,
}

impl Names {
    const fn of(formatter: Formatter) -> Self {
        match formatter {
            Formatter::Logstash => Self { time: "@timestamp", message: "message", version: true },
            Formatter::Text | Formatter::Json => {
                Self { time: "time", message: "msg", version: false }
            }
        }
    }
}

/// An object a line: the fields of the configuration, of the request, and of what is told, the last winning.
struct Json {
    names: Names,
    fields: Map<String, Value>,
}

impl<S> FormatEvent<S, JsonFields> for Json
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = self.fields.clone();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
            let fields = serde_json::from_str::<Map<String, Value>>(&fields.fields);
            for (name, value) in fields.unwrap_or_default() {
                line.insert(format!("{}.{name}", span.name()), value);
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(message) = fields.0.remove("message") {
            line.insert(self.names.message.to_owned(), message);
        }
        line.append(&mut fields.0);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.insert(self.names.time.to_owned(), time.into());
        if self.names.version {
            line.insert("@version".to_owned(), "1".into());
        }
        let level = match event.metadata().level().as_str() {
            // As of Distribution's.
            "WARN" => "warning".to_owned(),
            level => level.to_lowercase(),
        };
        line.insert("level".to_owned(), level.into());
        line.insert("logger".to_owned(), event.metadata().target().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Keeps the fields of a span as an object of JSON.
struct JsonFields;

impl<'w> FormatFields<'w> for JsonFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut found = Fields::default();
        fields.record(&mut found);
        found.0.retain(|name, _| is_logged(name));
        write!(writer, "{}", Value::Object(found.0))
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let all = serde_json::from_str::<Map<String, Value>>(&current.fields);
        let mut all = Fields(all.unwrap_or_default());
        fields.record(&mut all);
        all.0.retain(|name, _| is_logged(name));
        current.fields = Value::Object(all.0).to_string();
        Ok(())
    }
}

/// Collects fields.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
