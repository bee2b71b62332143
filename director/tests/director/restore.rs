//! An older database that is put back: no version is signed twice.

use countersign_director::service::Service;
use countersign_metadata::RoleType;

use crate::car::Car;
use crate::decisions::{Scene, image, whole};
use crate::line::{Follower, Line};
use crate::places::Place;
use crate::world::{World, operator};

/// The versions of Targets, Snapshot and Timestamp.
async fn versions(service: &Service, car: &Car) -> [u64; 3] {
    let stored = service.database().vehicle(&car.vin).await.unwrap().unwrap();
    [RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp]
        .map(|role| stored.desk.version(role).unwrap())
}

/// PostgreSQL has its own means to go back in time; what comes after it is the same.
#[tokio::test]
async fn after_a_restore_all_versions_are_above_those_that_were_published() {
    let images = [("d1", image("door", 1)), ("d2", image("door", 2))];
    for mut scene in Scene::all(&images).await {
        if !scene.world.place.url.starts_with("sqlite:") {
            continue;
        }
        scene.told().await;
        let copy = scene.world.folder("backup.sqlite");
        scene.service.database().back_up(&copy).await.unwrap();

        // It goes on: more versions, and a vehicle that the copy does not know.
        for name in ["d1", "d2"] {
            scene.ordered(&[("door", name)]).await;
            scene.told().await;
        }
        let late = Car::registered(&scene.world, &scene.service, "B").await;
        let mut late_follower = Follower::new(&scene.service, &late).await;
        for _ in 0..3 {
            let line = Line::of(&scene.service, &late);
            late_follower
                .follow(&line, scene.world.now())
                .await
                .unwrap();
            scene.world.pass(40 * crate::world::DAY);
            late.report(&scene.service).await.unwrap_or_default();
        }
        let before = versions(&scene.service, &scene.car).await;
        let late_before = versions(&scene.service, &late).await;

        scene.service.database().clone().close().await;
        let restored = Place::of_file(&copy);
        scene.world.place = restored;
        let service = scene.world.service().await;
        service
            .database()
            .leave_out_versions(1000, &[])
            .await
            .unwrap();
        scene.service = service;

        // Whoever had seen the files that are forgotten goes on.
        assert!(scene.told().await.0.is_empty());
        let after = versions(&scene.service, &scene.car).await;
        assert!(
            after
                .iter()
                .zip(before)
                .all(|(after, before)| *after > before)
        );
        let asked = whole(&scene.car, &[("door", "d2")]);
        scene.assign(&asked).await.unwrap();
        assert_eq!(scene.told().await.0.len(), 1);
        // From now on, versions count as usual.
        let next = versions(&scene.service, &scene.car).await;
        assert_eq!(next, after.map(|version| version + 1));

        let by = operator();
        scene
            .service
            .announce(&late.vin, "fleet", &by)
            .await
            .unwrap();
        late.register(&scene.service).await.unwrap();
        let line = Line::of(&scene.service, &late);
        late_follower
            .follow(&line, scene.world.now())
            .await
            .unwrap();
        let late_after = versions(&scene.service, &late).await;
        let grown = late_after.iter().zip(late_before);
        assert!(grown.into_iter().all(|(after, before)| *after > before));
    }
}

/// What was decided for several vehicles while versions were left out is not lost.
#[tokio::test]
async fn versions_are_left_out_under_the_hands_of_a_director_at_work() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        let first = scene.told().await.1;
        let database = scene.service.database();
        database.leave_out_versions(10, &[]).await.unwrap();
        scene.ordered(&[("door", "d1")]).await;
        assert_eq!(scene.told().await.1, first + 11);
        let car = Car::registered(&scene.world, &scene.service, "B").await;
        let line = Line::of(&scene.service, &car);
        let mut follower = Follower::new(&scene.service, &car).await;
        let said = follower
            .follow(&line, World::now(&scene.world))
            .await
            .unwrap();
        assert_eq!(said.mark().version, 11);
    }
}
