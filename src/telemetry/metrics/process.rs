//! The process, under the names that every Prometheus client uses, read on request.

use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

#[derive(Debug)]
pub(super) struct Process {
    start: f64,
}

impl Process {
    /// The values are made at the start of the process.
    pub(super) fn new() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: start.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: f64| {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        gauge("process_start_time_seconds", "Start of the process, in seconds of the Unix epoch.", self.start)?;
        if let Some(bytes) = resident_bytes() {
            gauge("process_resident_memory_bytes", "Resident memory.", bytes)?;
        }
        if let Some(descriptors) = open_descriptors() {
            gauge("process_open_fds", "Open file descriptors.", descriptors)?;
        }
        if let Some(descriptors) = getrlimit(Resource::Nofile).current.and_then(|most| u32::try_from(most).ok()) {
            gauge("process_max_fds", "File descriptors that may be open.", f64::from(descriptors))?;
        }
        let counter = encoder.encode_descriptor(
            "process_cpu_seconds",
            "Processor time of the process, user and system.",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(cpu_seconds()).encode(counter)
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    // Listing the folder opens one more file.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(open).ok().map(f64::from)
}

#[allow(clippy::cast_precision_loss, reason = "seconds and nanoseconds of a process fit a float")]
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
