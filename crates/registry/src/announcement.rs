//! Which version an alias stands for, and the trail of who said so.

use model::{ModelKind, PackageManifest};
use serde::{Deserialize, Serialize};

use crate::error::{RegistryError, Result};
use crate::{FOLDER, Registry, Version};

/// The alias of the model of transactions whose scores go out.
pub const CHAMPION: &str = "champion";
/// The alias of the model of transactions that scores beside it.
pub const CHALLENGER: &str = "challenger";
/// The alias of the model of images whose scores go out.
pub const IMAGE_CHAMPION: &str = "image-champion";
/// The alias of the model of images that scores beside it.
pub const IMAGE_CHALLENGER: &str = "image-challenger";
/// The alias of the fusion model whose scores go out.
pub const FUSION_CHAMPION: &str = "fusion-champion";
/// The alias of the fusion model that scores beside it.
pub const FUSION_CHALLENGER: &str = "fusion-challenger";

/// Every alias, with the kind of model that it can stand for.
pub const ALIASES: [(&str, ModelKind); 6] = [
    (CHAMPION, ModelKind::Transaction),
    (CHALLENGER, ModelKind::Transaction),
    (IMAGE_CHAMPION, ModelKind::Image),
    (IMAGE_CHALLENGER, ModelKind::Image),
    (FUSION_CHAMPION, ModelKind::Fusion),
    (FUSION_CHALLENGER, ModelKind::Fusion),
];

/// The alias of the model of a kind whose scores go out.
#[must_use]
pub const fn champion(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Transaction => CHAMPION,
        ModelKind::Image => IMAGE_CHAMPION,
        ModelKind::Fusion => FUSION_CHAMPION,
    }
}

/// The alias of the model of a kind that scores beside the champion.
#[must_use]
pub const fn challenger(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Transaction => CHALLENGER,
        ModelKind::Image => IMAGE_CHALLENGER,
        ModelKind::Fusion => FUSION_CHALLENGER,
    }
}

/// An alias gets a version. Its JSON is the value of a record on the models' topic, whose key is the alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// One of [`ALIASES`].
    pub alias: String,
    /// The version it stands for from now on.
    pub version: Version,
    /// Who decided it.
    pub by: String,
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// Why.
    pub why: String,
}

/// Characters of a time in the name of an audit object.
const TIME_DIGITS: usize = 20;

/// What the name of an audit object says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at_us: i64,
    alias: String,
    path: String,
}

impl Registry {
    /// Adds an announcement to the audit trail, from which [`Registry::current`] reads. To add it again changes
    /// nothing. Consumers hear of it by the topic: record it here first.
    ///
    /// # Errors
    /// [`RegistryError::UnknownAlias`], [`RegistryError::UnknownVersion`] for a model that is not published,
    /// [`RegistryError::OtherKind`] for one of another kind than the alias stands for, [`RegistryError::NotLater`] if
    /// the alias has a later announcement, and what the store says.
    pub fn announce(&self, announcement: &Announcement) -> Result<()> {
        let Announcement {
            alias,
            version,
            at_us,
            ..
        } = announcement;
        let Some((_, expected)) = ALIASES.into_iter().find(|(known, _)| known == alias) else {
            return Err(RegistryError::UnknownAlias { alias: alias.clone() });
        };
        let found = self.manifest(version)?.kind();
        if found != expected {
            return Err(RegistryError::OtherKind {
                alias: alias.clone(),
                version: version.clone(),
                found,
                expected,
            });
        }
        let current = self.current(alias)?;
        if let Some(current) = current.filter(|current| current != announcement && current.at_us >= *at_us) {
            return Err(RegistryError::NotLater {
                alias: alias.clone(),
                at_us: *at_us,
                current_us: current.at_us,
            });
        }
        let path = format!("{FOLDER}/audit/{at_us:0TIME_DIGITS$}-{alias}-{version}.json");
        let json = serde_json::to_vec(announcement).map_err(|source| RegistryError::Announcement {
            path: path.clone(),
            source,
        })?;
        self.put_once(&path, json)?;
        tracing::info!(
            alias,
            version,
            by = announcement.by,
            why = announcement.why,
            "model announced"
        );
        Ok(())
    }

    /// The latest announcement of an alias.
    ///
    /// # Errors
    /// [`RegistryError::Announcement`] if it cannot be read, and what the store says.
    pub fn current(&self, alias: &str) -> Result<Option<Announcement>> {
        let newest = self.trail()?.into_iter().rfind(|entry| entry.alias == alias);
        newest.map(|entry| self.read(&entry)).transpose()
    }

    /// Every announcement there has been, oldest first.
    ///
    /// # Errors
    /// [`RegistryError::Announcement`] if one cannot be read, and what the store says.
    pub fn audit(&self) -> Result<Vec<Announcement>> {
        self.trail()?.iter().map(|entry| self.read(entry)).collect()
    }

    fn trail(&self) -> Result<Vec<Entry>> {
        let listed = self.store.list(&format!("{FOLDER}/audit"))?;
        // The time has one width, and both it and an alias may hold a hyphen.
        let parse = |path: String| {
            let (named, _) = path.rsplit('/').next()?.rsplit_once('-')?;
            let (at_us, alias) = named.split_at_checked(TIME_DIGITS)?;
            let (at_us, alias) = (at_us.parse().ok()?, alias.strip_prefix('-')?.to_owned());
            Some(Entry { at_us, alias, path })
        };
        let mut entries: Vec<_> = listed
            .into_iter()
            .filter_map(|object| parse(object.path))
            .collect();
        entries.sort();
        Ok(entries)
    }

    fn read(&self, entry: &Entry) -> Result<Announcement> {
        let bytes = self.store.get(&entry.path)?.unwrap_or_default();
        serde_json::from_slice(&bytes).map_err(|source| RegistryError::Announcement {
            path: entry.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixture::{bundle, fusion_bundle, image_bundle, registry};

    fn announcement(alias: &str, version: &str, at_us: i64) -> Announcement {
        Announcement {
            alias: alias.to_owned(),
            version: version.to_owned(),
            by: "trainer".to_owned(),
            at_us,
            why: "better average precision".to_owned(),
        }
    }

    #[test]
    fn the_latest_announcement_of_an_alias_counts_and_all_stay() {
        let (_folder, _, registry) = registry();
        let (one, two) = (
            registry.publish(&bundle(1)).unwrap(),
            registry.publish(&bundle(2)).unwrap(),
        );
        assert_eq!(registry.current(CHAMPION).unwrap(), None);
        let all = [
            announcement(CHAMPION, &one, 9),
            announcement(CHALLENGER, &two, 10),
            announcement(CHAMPION, &two, 1_000),
            announcement(CHAMPION, &one, 1_700_000_000_000_000),
        ];
        for announcement in &all {
            registry.announce(announcement).unwrap();
            assert_eq!(
                registry.current(&announcement.alias).unwrap().as_ref(),
                Some(announcement)
            );
        }
        registry.announce(&all[3]).unwrap();
        assert_eq!(registry.audit().unwrap(), all);
        assert_eq!(registry.current(CHALLENGER).unwrap().unwrap().version, two);
    }

    #[test]
    fn an_announcement_has_to_make_sense() {
        let (_folder, _, registry) = registry();
        let version = registry.publish(&bundle(1)).unwrap();
        registry.announce(&announcement(CHAMPION, &version, 10)).unwrap();
        let refused = |announcement: &Announcement| registry.announce(announcement).unwrap_err();
        let older = refused(&announcement(CHAMPION, &version, 9));
        assert!(
            matches!(
                older,
                RegistryError::NotLater {
                    at_us: 9,
                    current_us: 10,
                    ..
                }
            ),
            "{older:?}"
        );
        let mut rewritten = announcement(CHAMPION, &version, 10);
        rewritten.by = "somebody else".to_owned();
        assert!(matches!(refused(&rewritten), RegistryError::NotLater { .. }));
        let unknown = refused(&announcement(CHAMPION, "00ff", 11));
        assert!(
            matches!(unknown, RegistryError::UnknownVersion { .. }),
            "{unknown:?}"
        );
        let alias = refused(&announcement("best", &version, 11));
        assert!(matches!(alias, RegistryError::UnknownAlias { .. }), "{alias:?}");
        assert_eq!(registry.audit().unwrap().len(), 1);
    }

    #[test]
    fn each_kind_of_model_has_its_own_aliases() {
        let (_folder, _, registry) = registry();
        let transaction = registry.publish(&bundle(1)).unwrap();
        let image = registry.publish(&image_bundle(1)).unwrap();
        let fusion = registry.publish(&fusion_bundle(1)).unwrap();
        for (alias, kind) in ALIASES {
            let (version, other) = match kind {
                ModelKind::Transaction => (&transaction, &image),
                ModelKind::Image => (&image, &fusion),
                ModelKind::Fusion => (&fusion, &transaction),
            };
            let refused = registry.announce(&announcement(alias, other, 10)).unwrap_err();
            assert!(
                matches!(&refused, RegistryError::OtherKind { expected, .. } if *expected == kind),
                "{alias}: {refused:?}"
            );
            registry.announce(&announcement(alias, version, -10)).unwrap();
            registry.announce(&announcement(alias, version, 20)).unwrap();
            assert_eq!(registry.current(alias).unwrap().unwrap().at_us, 20);
        }
        assert_eq!(registry.audit().unwrap().len(), 12);
        let refused = registry.announce(&announcement(IMAGE_CHAMPION, &transaction, 30));
        assert_eq!(
            refused.unwrap_err().to_string(),
            format!(
                "image-champion stands for models of kind image, {transaction} is one of kind transaction"
            )
        );
        for kind in ModelKind::ALL {
            assert!(ALIASES.contains(&(champion(kind), kind)) && ALIASES.contains(&(challenger(kind), kind)));
        }
    }

    #[test]
    fn the_json_is_the_topics_value() {
        let json = serde_json::to_value(announcement(CHAMPION, "0a", 5)).unwrap();
        let expected = serde_json::json!({
            "alias": "champion", "version": "0a", "by": "trainer", "at_us": 5, "why": "better average precision"
        });
        assert_eq!(json, expected);
    }
}
