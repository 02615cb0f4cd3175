#![deny(warnings)]

struct Point {
    x: i32,
    y: i32,
}

#[pglock::advisory("point:{x}:{second}")]
fn add(Point { x, y: second }: Point, (a, mut b): (i32, i32), [c, ..]: [i32; 3], _: u8) -> Result<i32, pglock::Error> {
    b += 1;
    Ok(x + second + a + b + c)
}

#[pglock::advisory("point:{y}")]
async fn add_async(&Point { x, ref y }: &Point, _unused: String) -> Result<i32, pglock::Error> {
    Ok(x + *y)
}

fn main() {
    let _ = (add, add_async);
}
