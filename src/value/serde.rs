//! Values as serde sees them. `serde_json` passes a number's digits on as its `RawValue`.

use super::{Kind, Value, ValueRef};
use crate::json::{ParseError, Scanner, unescape};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Compact(self.as_json()).serialize(serializer)
    }
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Compact(&self.compact_json().map_err(S::Error::custom)?).serialize(serializer)
    }
}

/// Canonical compact text, valid and without white space.
struct Compact<'a>(&'a str);

/// A key, `None` if UTF-8 cannot hold it, and its value.
type Member<'a> = (Option<Cow<'a, str>>, Compact<'a>);

impl<'a> Compact<'a> {
    fn items<T>(
        &self,
        close: u8,
        item: impl Fn(&mut Scanner<'a>) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let (mut scanner, mut items) = (Scanner::at(self.0, 0), Vec::new());
        let mut more = scanner.enter(close);
        while more {
            items.push(item(&mut scanner)?);
            more = scanner.next_element(close)?;
        }
        Ok(items)
    }

    fn elements(&self) -> Result<Vec<Self>, ParseError> {
        self.items(b']', |scanner| Ok(Self(scanner.value()?.of(self.0))))
    }

    fn members(&self) -> Result<Vec<Member<'a>>, ParseError> {
        self.items(b'}', |scanner| {
            let key = unescape(scanner.key()?.span.of(self.0))?;
            Ok((key, Compact(scanner.value()?.of(self.0))))
        })
    }

    fn serialize_number<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(integer) = self.0.parse() {
            // As an integer -0 would lose its sign.
            if self.0 != "-0" {
                return serializer.serialize_i64(integer);
            }
        }
        if let Ok(integer) = self.0.parse() {
            return serializer.serialize_u64(integer);
        }
        match self.0.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
            Some(double) if double.to_string() == self.0 => double.serialize(serializer),
            _ => serde_json::from_str::<&RawValue>(self.0).map_err(S::Error::custom)?.serialize(serializer),
        }
    }
}

impl Serialize for Compact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = ValueRef::compact(self.0);
        let no_room = |_| S::Error::custom("not enough memory for the value");
        let lone = || S::Error::custom("a lone surrogate, which UTF-8 cannot hold");
        match value.kind() {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool => serializer.serialize_bool(self.0 == "true"),
            Kind::Number => self.serialize_number(serializer),
            Kind::String => {
                let text = value.to_text().map_err(S::Error::custom)?;
                serializer.serialize_str(&text.ok_or_else(lone)?)
            }
            Kind::Array => serializer.collect_seq(self.elements().map_err(no_room)?),
            Kind::Object => {
                let members = self.members().map_err(no_room)?.into_iter();
                let members = members.map(|(key, value)| Ok((key.ok_or_else(lone)?, value)));
                serializer.collect_map(members.collect::<Result<Vec<_>, S::Error>>()?)
            }
        }
    }
}

/// The name by which `serde_json` knows that a type wants the text itself. It hands it over as a map of this one key.
/// If it ever changes, all that is lost is the digits that a double does not have.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW_VALUE, AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::default())
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Value::try_from(value).map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        Value::string(value).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::<Value>::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Value::from_serialize(&array).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            if key == RAW_VALUE {
                return Value::parse(&members.next_value::<String>()?).map_err(A::Error::custom);
            }
            object.push((key, members.next_value::<Value>()?));
        }
        Value::from_serialize(&Members(object)).map_err(A::Error::custom)
    }
}

struct Members(Vec<(String, Value)>);

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
