//! What the hub means when it refuses to match orders: it only gives a number, `iExecV5-matchOrders-0xNN`.
//!
//! Source: `matchOrders` of the PoCo contracts 6.1.0 (`IexecPoco1Facet`).

/// The number in words; `None` when the text is another one.
pub fn explain(reason: &str) -> Option<&'static str> {
    if reason.contains("Transfer amount exceeds balance") {
        return Some("the requester, or the owner of the workerpool for its stake, has too little at the hub");
    }
    let (_, rest) = reason.split_once("iExecV5-matchOrders-0x")?;
    Some(match rest.get(..2)? {
        "00" => "the request asks for another category than the workerpool offers",
        "01" => "the category does not exist",
        "02" => "the request asks for more trust than the workerpool offers",
        "03" => "the app costs more than the request pays",
        "04" => "the dataset costs more than the request pays",
        "05" => "the workerpool costs more than the request pays",
        "06" => "the tags ask for something that the workerpool does not offer",
        "07" => "an enclave is asked for, and the app order does not offer one",
        "10" => "the request is for another app",
        "11" => "the request is for another dataset",
        "12" => "the request is for another workerpool",
        "13" => "the app order allows another dataset only",
        "14" => "the app order allows another workerpool only",
        "15" => "the app order allows another requester only",
        "16" => "the dataset order allows other apps only",
        "17" => "the dataset order allows another workerpool only",
        "18" => "the dataset order allows another requester only",
        "19" => "the workerpool order allows another app only",
        "1a" => "the workerpool order allows another dataset only",
        "1b" => "the workerpool order allows another requester only",
        "20" => "the app is not registered",
        "21" => "the app order is not signed by the app's owner of today",
        "30" => "the dataset is not registered",
        "31" => "the dataset order is not signed by the dataset's owner of today",
        "40" => "the workerpool is not registered",
        "41" => "the workerpool order is not signed by the workerpool's owner of today",
        "50" => "the request is not signed by its requester",
        "60" => "one of the orders is used up or revoked",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_hub_have_words() {
        assert!(explain("execution reverted: iExecV5-matchOrders-0x60").unwrap().contains("used up"));
        assert!(explain("IexecEscrow: Transfer amount exceeds balance").unwrap().contains("too little"));
        assert_eq!(explain("iExecV5-matchOrders-0xff"), None);
        assert_eq!(explain("another"), None);
    }
}
