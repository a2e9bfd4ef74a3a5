//! A Parquet file in an object store, read in ranges.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// What reads the ranges.
#[derive(Clone, Debug)]
pub(super) struct FileReader {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl FileReader {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, path: Path, size: u64) -> Self {
        Self { objects, path, size }
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { self.objects.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            self.objects
                .get_ranges(&self.path, &ranges)
                .await
                .map_err(external)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let options = options.map(|options| options.metadata_options().clone());
        let reader = ParquetMetaDataReader::new().with_metadata_options(options);
        let size = self.size;
        async move { Ok(Arc::new(reader.load_and_finish(self, size).await?)) }.boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
