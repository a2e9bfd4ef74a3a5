//! Storage of the S3 protocol, over a folder.

use std::path::PathBuf;
use std::thread;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The one who may come in.
const ACCESS_KEY: &str = "riskstream-test";
const SECRET_KEY: &str = "a secret for tests alone";

/// A running server. It ends with the process.
#[derive(Debug)]
pub struct S3 {
    folder: TempDir,
    endpoint: String,
}

impl S3 {
    /// Starts a server without buckets on a free port of this machine.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("riskstream-s3-").expect("a temporary folder");
        let files = FileSystem::new(folder.path()).expect("a folder to serve");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("sockets can be asked for that");
        let address = listener.local_addr().expect("a listener has an address");
        let server = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serve(listener, service));
        };
        thread::Builder::new()
            .name("s3".into())
            .spawn(server)
            .expect("a thread");
        Self {
            folder,
            endpoint: format!("http://{address}"),
        }
    }

    /// Puts an object into a bucket, which is made where it is missing.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let path: PathBuf = self.folder.path().join(bucket).join(key);
        let parent = path.parent().expect("it lies in a bucket");
        std::fs::create_dir_all(parent).expect("the folder can be written");
        std::fs::write(path, bytes).expect("the folder can be written");
    }

    /// The variables by which clients find it and are let in.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", self.endpoint.clone()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }
}

async fn serve(listener: std::net::TcpListener, service: S3Service) {
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(socket), service);
            // A client that goes away in the middle is its own affair.
            let _ = connection.await;
        });
    }
}
