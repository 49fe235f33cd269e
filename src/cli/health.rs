//! `health`: asks a server for its health, for probes without a gRPC client.

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tower::service_fn;

use crate::config::Address;

use super::{Failure, HEALTH_TIMEOUT};

/// Asks the server at `address` for its overall health and prints it.
pub(super) fn ask(address: &Address) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(status(address)).map_err(|error| {
        let cause = std::error::Error::source(&*error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::Other(format!("{address} does not answer: {error}{cause}"))
    })?;
    println!("{}", status.as_str_name());
    if status == ServingStatus::Serving { Ok(()) } else { Err(Failure::Reported) }
}

async fn status(address: &Address) -> Result<ServingStatus, Box<dyn std::error::Error>> {
    let endpoint = |uri: String| -> Result<Endpoint, tonic::transport::Error> {
        Ok(Endpoint::from_shared(uri)?.connect_timeout(HEALTH_TIMEOUT).timeout(HEALTH_TIMEOUT))
    };
    let channel = match address {
        Address::Tcp(address) => endpoint(format!("http://{address}"))?.connect().await?,
        Address::Unix(path) => {
            let path = path.clone();
            let connector = service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            endpoint("http://localhost".to_owned())?.connect_with_connector(connector).await?
        }
    };
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    Ok(answer.into_inner().status())
}
