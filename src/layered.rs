use crate::{Batch, Error, FlagStore, Result, Snapshot, Value};
use std::sync::Arc;

/// Stores over stores: a read asks the first layer, and the next where a flag is absent.
pub struct LayeredFlagStore {
    layers: Vec<Arc<dyn FlagStore>>,
    write_to: usize,
}

impl LayeredFlagStore {
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if there is no layer, or `write_to` is past the last one.
    pub fn new(layers: Vec<Arc<dyn FlagStore>>, write_to: usize) -> Result<Self> {
        if write_to >= layers.len() {
            return Err(Error::InvalidArgument(format!("write_to is {write_to}, of {} layers", layers.len())));
        }
        Ok(Self { layers, write_to })
    }
}

impl FlagStore for LayeredFlagStore {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        for layer in &self.layers {
            if let Some(value) = layer.get(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.layers[self.write_to].set(key, value)
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.layers[self.write_to].delete(key)
    }

    fn list_all(&self) -> Result<Snapshot> {
        let mut batch = Batch::new();
        for layer in self.layers.iter().rev() {
            for (key, value) in &layer.list_all()? {
                batch.set(key, value.to_value()?);
            }
        }
        Snapshot::from_flags(batch.changes().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))))
    }
}
