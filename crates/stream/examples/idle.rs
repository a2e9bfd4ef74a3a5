//! x
#![allow(clippy::unwrap_used)]
use std::time::{Duration,Instant};
use stream::*;
use std::collections::BTreeMap;
fn cpu() -> u64 { let s=std::fs::read_to_string("/proc/self/stat").unwrap(); let f:Vec<&str>=s.rsplit(')').next().unwrap().split_whitespace().collect(); f[11].parse::<u64>().unwrap()+f[12].parse::<u64>().unwrap() }
fn main(){
  let k=Kafka::new(testkit::Broker::shared().bootstrap_servers(),"x",BTreeMap::new()).unwrap();
  let t=testkit::unique("idle");
  Topics::new(&k).unwrap().create(&[TopicSpec{name:t.clone(),partitions:4,replication:None,config:BTreeMap::new()}]).unwrap();
  let tick=|what:&str, f:&mut dyn FnMut(Duration)|{ let c=cpu(); let b=Instant::now(); f(Duration::from_secs(10)); println!("{what}: {:.2} % of a core", (cpu()-c) as f64/b.elapsed().as_secs_f64()); };
  let mut p=Producer::new(&k,ProducerOptions::default()).unwrap();
  p.send(Outgoing{topic:&t,partition:Some(0),key:None,payload:Some(b"a"),headers:&[],timestamp_us:None}).unwrap(); p.flush(Duration::from_secs(9)).unwrap();
  tick("idle producer",&mut |d| std::thread::sleep(d));
  let mut c=Consumer::attach(&k,(0..4).map(|i|(TopicPartition::new(&*t,i),StartOffset::Beginning)).collect()).unwrap();
  tick("and idle consumer, waiting 10 ms",&mut |d| { let e=Instant::now()+d; while Instant::now()<e { c.poll(Duration::from_millis(10),100,100000).unwrap(); } });
  tick("and idle consumer, waiting 1000 ms",&mut |d| { let e=Instant::now()+d; while Instant::now()<e { c.poll(Duration::from_millis(1000),100,100000).unwrap(); } });
  let b=Instant::now(); drop(p); println!("producer dropped in {:?}", b.elapsed());
  let b=Instant::now(); drop(c); println!("consumer dropped in {:?}", b.elapsed());
  println!("now kill me"); std::thread::sleep(Duration::from_secs(30));
}
