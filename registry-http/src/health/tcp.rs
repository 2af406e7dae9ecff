//! [`TcpProbe`]: does somebody listen there?

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::Probe;

/// Connects, and hangs up.
#[derive(Clone, Debug)]
pub struct TcpProbe {
    address: String,
}

impl TcpProbe {
    /// A host and a port.
    pub const fn new(address: String) -> Self {
        Self { address }
    }
}

#[async_trait]
impl Probe for TcpProbe {
    async fn probe(&self) -> Result<(), String> {
        let connected = TcpStream::connect(self.address.as_str()).await;
        connected.map(drop).map_err(|error| format!("cannot connect to {}: {error}", self.address))
    }
}
