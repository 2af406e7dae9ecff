//! Metrics of requests.

use http::Method;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets,
};

use super::register;
use crate::observe::Exchange;
use crate::route::Route;

/// Distribution's, in seconds.
const DURATIONS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0];

pub(super) struct Http {
    requests: IntCounterVec,
    durations: HistogramVec,
    request_sizes: HistogramVec,
    response_sizes: HistogramVec,
    in_flight: IntGaugeVec,
    received: IntCounterVec,
    sent: IntCounterVec,
}

impl Http {
    pub(super) fn new(registry: &Registry) -> Self {
        // 1 KiB to 2 GiB, as Distribution's.
        let sizes = exponential_buckets(1024.0, 2.0, 22).expect("they grow from more than nothing");
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels);
            made.expect("name and labels are of Prometheus's grammar")
        };
        let histogram = |name: &str, help: &str, buckets: &[f64], labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let made = HistogramVec::new(options, labels);
            made.expect("name and labels are of Prometheus's grammar, and buckets grow")
        };
        let in_flight =
            Opts::new("registry_http_in_flight_requests", "The in-flight HTTP requests");
        let made = Self {
            requests: counter(
                "registry_http_requests_total",
                "Total number of HTTP requests made.",
                &["code", "method", "handler"],
            ),
            durations: histogram(
                "registry_http_request_duration_seconds",
                "The HTTP request latencies in seconds.",
                DURATIONS,
                &["method", "handler"],
            ),
            request_sizes: histogram(
                "registry_http_request_size_bytes",
                "The HTTP request sizes in bytes.",
                &sizes,
                &["handler"],
            ),
            response_sizes: histogram(
                "registry_http_response_size_bytes",
                "The HTTP response sizes in bytes.",
                &sizes,
                &["handler"],
            ),
            in_flight: IntGaugeVec::new(in_flight, &["handler"])
                .expect("name and labels are of Prometheus's grammar"),
            received: counter(
                "registry_http_received_bytes_total",
                "Bytes of the bodies of requests.",
                &["handler"],
            ),
            sent: counter(
                "registry_http_sent_bytes_total",
                "Bytes of the bodies of answers.",
                &["handler"],
            ),
        };
        made.register(registry);
        made
    }

    /// With all handlers at nought, as of Distribution: what is not there yet cannot be alarmed of.
    fn register(&self, registry: &Registry) {
        for counter in [&self.requests, &self.received, &self.sent] {
            register(registry, counter);
        }
        for histogram in [&self.durations, &self.request_sizes, &self.response_sizes] {
            register(registry, histogram);
        }
        register(registry, &self.in_flight);
        for route in Route::ALL {
            let handler = &[route.as_str()];
            self.in_flight.with_label_values(handler);
            self.request_sizes.with_label_values(handler);
            self.response_sizes.with_label_values(handler);
            self.received.with_label_values(handler);
            self.sent.with_label_values(handler);
        }
    }

    pub(super) fn began(&self, route: Option<Route>) {
        if let Some(route) = route {
            self.in_flight.with_label_values(&[route.as_str()]).inc();
        }
    }

    pub(super) fn ended(&self, exchange: &Exchange) {
        let Some(route) = exchange.route else { return };
        let (handler, method) = (route.as_str(), method(&exchange.method));
        let code = exchange.status.to_string();
        self.in_flight.with_label_values(&[handler]).dec();
        self.requests.with_label_values(&[code.as_str(), method, handler]).inc();
        let took = exchange.took.as_secs_f64();
        self.durations.with_label_values(&[method, handler]).observe(took);
        for (sizes, total, bytes) in [
            (&self.request_sizes, &self.received, exchange.received),
            (&self.response_sizes, &self.sent, exchange.sent),
        ] {
            // As a float it is exact up to 8 PiB.
            sizes.with_label_values(&[handler]).observe(bytes as f64);
            total.with_label_values(&[handler]).inc_by(bytes);
        }
    }
}

/// As Go's client of Prometheus writes it. Clients may make up methods, without end.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::PUT => "put",
        Method::POST => "post",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;
    use crate::observe::Observer as _;
    use crate::route::Route;

    /// The lines that tell of a metric.
    fn lines(text: &str, name: &str) -> Vec<String> {
        let is_of = |line: &&str| {
            let line = line.strip_prefix("# TYPE ").unwrap_or(line);
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
        };
        text.lines().filter(is_of).map(str::to_owned).collect()
    }

    #[test]
    fn a_request_is_in_flight_until_it_has_ended() {
        let metrics = Metrics::new("inmemory");
        let name = "registry_http_in_flight_requests";
        let in_flight = || {
            let of_blobs = format!("{name}{{handler=\"blob\"}} ");
            let text = metrics.text();
            let line = text.lines().find_map(|line| line.strip_prefix(&of_blobs));
            line.unwrap().to_owned()
        };
        assert_eq!(in_flight(), "0");
        let exchange = crate::observe::testing::exchange(Route::Blob);
        metrics.began(exchange.route);
        metrics.began(exchange.route);
        assert_eq!(in_flight(), "2");
        metrics.ended(&exchange);
        metrics.ended(&exchange);
        assert_eq!(in_flight(), "0");
        assert_eq!(lines(&metrics.text(), name)[0], format!("# TYPE {name} gauge"));
    }

    #[test]
    fn histograms_have_distributions_buckets() {
        let metrics = Metrics::new("inmemory");
        let exchange = crate::observe::testing::exchange(Route::Blob);
        metrics.began(exchange.route);
        metrics.ended(&exchange);
        let text = metrics.text();
        let buckets = |name: &str| {
            assert!(text.contains(&format!("# TYPE {name} histogram\n")), "{name}");
            let of_blobs = |line: &&String| line.contains("handler=\"blob\"");
            let all = lines(&text, &format!("{name}_bucket"));
            let bound = |line: &String| {
                let bound = line.split("le=\"").nth(1).unwrap();
                bound.split('"').next().unwrap().to_owned()
            };
            all.iter().filter(of_blobs).map(bound).collect::<Vec<_>>()
        };
        let durations = [
            "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "25",
            "60", "+Inf",
        ];
        assert_eq!(buckets("registry_http_request_duration_seconds"), durations);
        let mut sizes: Vec<String> = (0..22).map(|it| (1024_u64 << it).to_string()).collect();
        sizes.push("+Inf".to_owned());
        assert_eq!(buckets("registry_http_request_size_bytes"), sizes);
        assert_eq!(buckets("registry_http_response_size_bytes"), sizes);
        for name in ["registry_http_requests_total", "registry_http_sent_bytes_total"] {
            assert_eq!(lines(&text, name)[0], format!("# TYPE {name} counter"));
        }
    }
}
