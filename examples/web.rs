//! A web server of axum, whose import runs once at a time for each customer: a second request is answered 409, with who
//! has the lock; a client that goes away frees it.
//!
//! Run it with `cargo run -p pglock-examples --example web`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use pglock_examples as demo;
use pglock_examples::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_postgres::{Client, NoTls};

/// How long an answer may take, on a slow machine.
const BOUND: Duration = Duration::from_secs(30);

/// The attribute goes on the handler itself: its arguments are those that axum passes.
#[pglock::advisory("import-{customer}", timeout = 0)]
async fn import(
    Path(customer): Path<u32>,
    State(mut supplier): State<watch::Receiver<Supplier>>,
) -> Result<String, Failed> {
    let answers = supplier.wait_for(|it| matches!(it, Supplier::Answers));
    let Ok(_) = answers.await else {
        return Err(Failed::Supplier);
    };
    Ok(format!("imported the orders of customer {customer}"))
}

/// Where the orders come from.
enum Supplier {
    Hangs,
    Answers,
}

/// What goes wrong in a handler, and how the client is told.
enum Failed {
    Lock(pglock::Error),
    Supplier,
}

impl From<pglock::Error> for Failed {
    fn from(error: pglock::Error) -> Self {
        Self::Lock(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        match self {
            // Says who has the lock, and for how long.
            Self::Lock(error) if error.is_busy() => {
                (StatusCode::CONFLICT, error.to_string()).into_response()
            }
            // What else goes wrong with the database is not for clients to know.
            Self::Lock(error) => {
                eprintln!("{error}");
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
            Self::Supplier => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

#[tokio::main]
async fn serve_and_ask(url: &str) -> Result<(), Error> {
    pglock::configure(url)?;
    let (supplier, state) = watch::channel(Supplier::Hangs);
    let app = Router::new()
        .route("/imports/{customer}", post(import))
        .with_state(state);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    let mut observer = connect(url).await?;

    let first = send(server, 7).await?;
    until_locked(&mut observer, true).await?;
    println!("A client imports for customer 7; its supplier hangs, and the lock is held.");

    let (status, text) = answer(send(server, 7).await?).await?;
    println!("A second client is answered {status}: {text}");
    if status != 409 || !text.contains("held for") {
        return Err("the second client was to get 409, and the holder".into());
    }

    // axum drops the handler's future, and with it the lock.
    drop(first);
    let gone = Instant::now();
    until_locked(&mut observer, false).await?;
    println!(
        "The first client goes away; {} ms later pg_locks shows no lock.",
        gone.elapsed().as_millis()
    );

    supplier.send(Supplier::Answers)?;
    let (status, text) = answer(send(server, 7).await?).await?;
    println!("The next client is answered {status}: {text}");
    if status != 200 {
        return Err("the next client was to get 200".into());
    }
    pglock::drain_and_close_async().await;
    Ok(())
}

/// Waits until `pg_locks` shows an advisory lock, or none.
async fn until_locked(observer: &mut Client, is_locked: bool) -> Result<(), Error> {
    let asked = async {
        while pglock::locks()
            .granted(true)
            .filter("kind=ADVISORY")?
            .fetch_async(&mut *observer)
            .await?
            .is_empty()
            == is_locked
        {}
        Ok(())
    };
    tokio::time::timeout(BOUND, asked).await?
}

/// A small client: sends the request. Dropping what is returned is to go away.
async fn send(server: SocketAddr, customer: u32) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!(
        "POST /imports/{customer} HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// The status and the text of the response.
async fn answer(mut stream: TcpStream) -> Result<(u16, String), Error> {
    let mut response = String::new();
    tokio::time::timeout(BOUND, stream.read_to_string(&mut response)).await??;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .ok_or("the response has no end of its head")?;
    let status = head.split(' ').nth(1).ok_or("the response has no status")?;
    Ok((status.parse()?, body.to_owned()))
}

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // The task ends with the client. Errors before that are returned by the client's statements.
    tokio::spawn(connection);
    Ok(client)
}

fn demo() -> Result<(), Error> {
    let db = demo::create_database()?;
    serve_and_ask(db.url())
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn it_runs() -> Result<(), Error> {
    demo()
}
