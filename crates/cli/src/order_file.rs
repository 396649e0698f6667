//! Files of signed orders: `orders.json` of the iexec CLI, where each kind has one order for each chain, or a file with one order.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Map, Value, json};
use strongroom_poco::orders::{Order, Signed};

use crate::private_file;
use crate::stock_project::{ProjectError, read};

/// Why there is no order to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderFileError {
    /// The file cannot be read, or is not JSON.
    #[error(transparent)]
    File(#[from] ProjectError),
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// The file has no order of the kind.
    #[error("{} has no {kind} order for chain {chain_id}", path.display())]
    NoOrder {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: &'static str,
        /// The chain.
        chain_id: u64,
    },
    /// The order cannot be read, or is not signed.
    #[error("the {kind} order in {} is wrong", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The member that holds an order of this kind.
fn member<O: Order>() -> String {
    format!("{}order", O::KIND)
}

/// The order of this kind for this chain.
pub(crate) fn load<O: Order>(path: &Path, chain_id: u64) -> Result<Signed<O>, OrderFileError> {
    load_some(path, chain_id)?.ok_or_else(|| OrderFileError::NoOrder { path: path.to_owned(), kind: O::KIND, chain_id })
}

/// As [`load`]; `None` when the file has none of this kind.
pub(crate) fn load_some<O: Order>(path: &Path, chain_id: u64) -> Result<Option<Signed<O>>, OrderFileError> {
    let content: Value = read(path)?.ok_or_else(|| OrderFileError::Absent { path: path.to_owned() })?;
    let of_chain = content.get(chain_id.to_string()).unwrap_or(&content);
    let order = match of_chain.get(member::<O>()) {
        Some(order) => order,
        // A file with one order has its members at the top.
        None if of_chain.get("sign").is_some() && of_chain.get(price_member::<O>()).is_some() => of_chain,
        None => return Ok(None),
    };
    let malformed = |source| OrderFileError::Malformed { path: path.to_owned(), kind: O::KIND, source };
    serde_json::from_value(order.clone()).map(Some).map_err(malformed)
}

/// What tells the kinds apart.
fn price_member<O: Order>() -> &'static str {
    match O::KIND {
        "app" => "appprice",
        "dataset" => "datasetprice",
        "workerpool" => "workerpoolprice",
        _ => "appmaxprice",
    }
}

/// Writes an order into the file, beside those of other kinds and chains that are there.
pub(crate) fn store<O: Order>(path: &Path, chain_id: u64, order: &Signed<O>) -> Result<(), OrderFileError> {
    let mut content: Map<String, Value> = read(path)?.unwrap_or_default();
    let of_chain = content.entry(chain_id.to_string()).or_insert_with(|| json!({}));
    if !of_chain.is_object() {
        *of_chain = json!({});
    }
    of_chain[member::<O>()] = json!(order);
    let text = format!("{:#}\n", Value::Object(content));
    let unwritable = |source| OrderFileError::Unwritable { path: path.to_owned(), source };
    let path = absolute(path).map_err(unwritable)?;
    private_file::replace(&path, text.as_bytes()).map_err(unwritable)
}

/// The file's folder must have a name.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_poco::orders::{AppOrder, DatasetOrder};

    #[test]
    fn orders_of_the_iexec_cli_and_single_ones_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.json");
        let app = Signed { order: AppOrder::default(), sign: vec![7; 65].into() };
        let dataset = Signed { order: DatasetOrder::default(), sign: vec![8; 65].into() };
        assert!(matches!(load::<AppOrder>(&path, 7), Err(OrderFileError::Absent { .. })));
        store(&path, 7, &app).unwrap();
        store(&path, 7, &dataset).unwrap();
        store(&path, 8, &Signed { sign: vec![9; 65].into(), ..app.clone() }).unwrap();
        assert_eq!(load::<AppOrder>(&path, 7).unwrap(), app);
        assert_eq!(load::<DatasetOrder>(&path, 7).unwrap(), dataset);
        assert!(matches!(load::<DatasetOrder>(&path, 8), Err(OrderFileError::NoOrder { .. })));
        for single in [json!(app), json!({ "apporder": app })] {
            fs::write(&path, single.to_string()).unwrap();
            assert_eq!(load::<AppOrder>(&path, 7).unwrap(), app);
            assert_eq!(load_some::<DatasetOrder>(&path, 7).unwrap(), None);
        }
        fs::write(&path, r#"{"apporder":{"app":"0x1","sign":"0x"}}"#).unwrap();
        assert!(matches!(load::<AppOrder>(&path, 7), Err(OrderFileError::Malformed { .. })));
    }
}
