//! What is logged to standard error, and how it looks.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal as _};

use registry_http::config::{Formatter, Log, LogLevel};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::Failure;

/// The variable that chooses what is logged, as everywhere in Rust.
pub(super) const FILTER: &str = "RUST_LOG";

/// Logs as the environment says, or else the configuration. A line that cannot be written is lost, and no more.
pub(super) fn to_stderr(log: &Log, writer: BoxMakeWriter) -> Result<(), Failure> {
    let directives = env::var(FILTER).unwrap_or_default();
    let default = match log.level {
        // What libraries have to say of each frame of HTTP/2 is not meant.
        Some(LogLevel::Debug) => "info,registry=debug,registry_http=debug,registry_store=debug",
        Some(level) => level.as_str(),
        None => "info",
    };
    let directives = if directives.is_empty() { default } else { &directives };
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        Failure::usage(format!(
            "{FILTER}={directives}: {error}; expected levels such as info, or registry_http=debug,info"
        ))
    })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // To tell of what cannot be written it would write, and panic where that cannot be.
    let subscriber = subscriber.log_internal_errors(false);
    match log.formatter {
        Formatter::Text => subscriber
            .with_ansi(io::stderr().is_terminal() && log.fields.is_empty())
            .event_format(Text { format: Format::default(), fields: log.fields.clone() })
            .init(),
        formatter => subscriber
            .with_ansi(false)
            .fmt_fields(JsonFields)
            .event_format(Json { names: Names::of(formatter), fields: log.fields.clone() })
            .init(),
    }
    Ok(())
}

/// The usual lines, with the fields of the configuration at their ends.
struct Text {
    format: Format,
    fields: Map<String, Value>,
}

impl<S> FormatEvent<S, DefaultFields> for Text
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
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
        write!(writer, "{}", Value::Object(found.0))
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
