//! What the lock is called.

use pglock::Error;

use crate::Place;

#[pglock::advisory(using = &place.here)]
fn r#match(place: &Place) -> Result<(), Error> {
    place.assert_held(["shapes::lock_ids::match"]);
    Ok(())
}

#[test]
fn a_default_lock_id_is_the_path() {
    let place = Place::new();
    r#match(&place).unwrap();
    place.assert_released();
}

#[test]
fn templates_and_patterns() {
    struct Point {
        x: i32,
        y: i32,
    }

    #[pglock::advisory("{{{x}:{second}}}:{name}", using = &place.here)]
    fn run(
        place: &Place,
        Point { x, y: second }: Point,
        (name, mut count): (&str, u8),
    ) -> Result<u8, Error> {
        place.assert_held([format!("{{{x}:{second}}}:{name}").as_str()]);
        count += 1;
        Ok(count)
    }

    let place = Place::new();
    assert_eq!(run(&place, Point { x: 1, y: -2 }, ("größe", 1)).unwrap(), 2);
    place.assert_released();
}

#[test]
fn fields_formats_and_constants() {
    #[derive(Debug)]
    struct Kind;

    struct Job {
        place: Place,
        customer: String,
        parts: (u8, Kind),
    }

    impl Job {
        #[pglock::advisory("{self.customer:>6}:{self.parts.0:03}:{N}:{self.parts.1:?}", using = &self.place.here)]
        async fn run<const N: usize>(&self) -> Result<(), Error> {
            self.place.assert_held(["  acme:007:3:Kind"]);
            Ok(())
        }
    }

    #[pglock::advisory("job-{job.customer}", using = &place.here)]
    fn run(place: &Place, job: Job) -> Result<String, Error> {
        place.assert_held(["job-acme"]);
        Ok(job.customer)
    }

    let (place, customer) = (Place::new(), "acme".to_owned());
    let parts = (7, Kind);
    let job = Job {
        place: Place::new(),
        customer,
        parts,
    };
    pollster::block_on(job.run::<3>()).unwrap();
    job.place.assert_released();
    assert_eq!(run(&place, job).unwrap(), "acme");
    place.assert_released();
}

#[test]
fn lock_ids() {
    macro_rules! check {
        ($($name:ident($id:expr, $key:expr);)*) => {$(
            #[pglock::advisory($id, using = &place.here)]
            fn $name(place: &Place) -> Result<(), Error> {
                assert_eq!(place.db.held($key), 1);
                Ok(())
            }

            let place = Place::new();
            $name(&place).unwrap();
            place.assert_released();
        )*};
    }

    check! {
        positive(42, 42);
        smallest(-9_223_372_036_854_775_808, i64::MIN);
        pair((1, -2), (1, -2));
        text("hello", (245_608_543_u32, 3_125_670_444_u32));
        computed(format!("{}{}", "hel", "lo"), (245_608_543_u32, 3_125_670_444_u32));
    }
}
