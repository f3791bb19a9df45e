using System.CommandLine;
using Starlight.Benchmarks.Load;

// What one proxy bears: many workers at once, planning for large images, memory while large images are indexed. Every figure is of real processes on this machine; compare ratios of
// one run, not seconds of two. The proxy is the one in $STARLIGHT_BIN, or the one built beside this program.
Option<bool> postgres = new("--postgres") { Description = "metadata in a Postgres of its own instead of SQLite", Recursive = true };
Option<int> workers = new("--workers") { Description = "workers that pull at once", DefaultValueFactory = _ => 200 };
Option<int> rounds = new("--rounds") { Description = "measured rounds of each server, in turns", DefaultValueFactory = _ => 5 };
Option<int> megabytes = new("--megabytes") { Description = "length of the bundle", DefaultValueFactory = _ => 32 };
Option<int> slow = new("--slow") { Description = "readers of 10 KB/s among them in the rounds that have some", DefaultValueFactory = _ => 20 };
Option<int> files = new("--files") { Description = "files of each image", DefaultValueFactory = _ => 50_000 };
Option<int> million = new("--files") { Description = "files of the image of many files", DefaultValueFactory = _ => 1_000_000 };
Option<int> layer = new("--layer") { Description = "megabytes of the image of one large layer", DefaultValueFactory = _ => 2048 };

Command pull = new("pull", "throughput against nginx, time to first byte, memory, slow clients") { workers, rounds, megabytes, slow };
pull.SetAction((arguments, _) => PullBenchmark.RunAsync(arguments.GetValue(postgres), arguments.GetValue(workers), arguments.GetValue(rounds), arguments.GetValue(megabytes), arguments.GetValue(slow)));
Command plan = new("plan", "planning a delta between two images, in memory and from the database") { files };
plan.SetAction((arguments, _) => PlanBenchmark.RunAsync(arguments.GetValue(postgres), arguments.GetValue(files)));
Command memory = new("memory", "memory of the proxy while it indexes and delivers large images; 0 leaves one out") { million, layer };
memory.SetAction((arguments, _) => MemoryBenchmark.RunAsync(arguments.GetValue(postgres), arguments.GetValue(million), arguments.GetValue(layer)));

RootCommand root = new("Load and memory of one starlight-proxy") { pull, plan, memory };
root.Options.Add(postgres);
return await root.Parse(args).InvokeAsync();
