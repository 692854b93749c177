// cargo run --locked
use std::{env, error::Error, time::Duration};

use async_nats::jetstream::{self, context::PublishError, publish::PublishAck};
use async_nats::{ConnectOptions, Event, HeaderMap};

/// Until the stream acknowledges it. With the same id a second attempt does no harm.
async fn store(
    js: &jetstream::Context,
    subject: &'static str,
    data: &'static str,
    id: &str,
) -> Result<PublishAck, PublishError> {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    let mut attempt = 1;
    loop {
        // The first await sends it, the second waits for the acknowledgement.
        let result = match js
            .publish_with_headers(subject, headers.clone(), data.into())
            .await
        {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        if result.is_ok() || attempt == 5 {
            return result; // an error: not stored, or not known. Keep it and try later, with this id
        }
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        attempt += 1;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".into());
    // It reconnects for ever by default.
    let nc = ConnectOptions::new()
        .event_callback(|event| async move {
            if let Event::ServerError(error) = event {
                eprintln!("{error}"); // what the server refuses (a subject that is not permitted, say) is told here
            }
        })
        .connect(url)
        .await?;

    // 1. A value. Nobody need be there to read it.
    nc.publish("market.prices.ACME", r#"{"price":101.25}"#.into())
        .await?;

    // 2. With all that Sidestream reads from headers.
    let mut headers = HeaderMap::new();
    headers.insert("Sse-Event", "halted"); // the event's name in the browser
    headers.insert("Sse-Ttl", "30s"); // is not replayed later than that
    headers.insert("Sse-Priority", "urgent"); // overtakes what waits for a slow reader
    headers.insert("Nats-Msg-Id", "halt-ACME-1"); // published twice, it is passed on once
    headers.insert(
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ); // from your tracer
    nc.publish_with_headers("market.prices.ACME", headers, r#"{"until":"15:30"}"#.into())
        .await?;
    nc.flush().await?; // publish fills a buffer; now it is written to the socket

    // 3. What must not be lost.
    let js = jetstream::new(nc.clone());
    let ack = store(&js, "orders.7", r#"{"state":"paid"}"#, "order-7-paid").await?;
    println!(
        "{} {}{}",
        ack.stream,
        ack.sequence,
        if ack.duplicate { " duplicate" } else { "" }
    );

    nc.drain().await?; // sends what is left, then closes
    Ok(())
}
