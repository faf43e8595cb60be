package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"herosup/dispatch"
)

func both(t string) ([]string, bool) { return []string{t}, t == "bash" || t == "python" }

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "herosup.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "nightly.sh"), []byte("echo night\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, both)
}

func TestEmptyRunsWithAPoolPerInterpreter(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "log: {level: debug}\n", "---\nlog: {level: debug}\n...\n", "log: {}\n---\n# nothing\n"} {
		c, err := load(t, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if len(c.Pools) != 2 || c.Pools["bash"].Type != "bash" || *c.Pools["python"].Max < 1 || c.Pools["bash"].Min != 0 {
			t.Errorf("%q: pools %+v", text, c.Pools)
		}
	}
	c, err := Load("", func(t string) ([]string, bool) { return nil, t == "bash" })
	if err != nil || len(c.Pools) != 1 {
		t.Errorf("without python: %v %v", c.Pools, err)
	}
}

// A weight that is left out is 1; one that is written as 0 is not (below).
func TestAWeightThatIsLeftOut(t *testing.T) {
	c, err := load(t, "pools:\n  all: {interpreter: sh, types: {a: , b: 2}}\n")
	if w := c.Pools["all"].Types; err != nil || w["a"] != 1 || w["b"] != 2 || len(w) != 2 {
		t.Errorf("%v %v", w, err)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	c, err := load(t, `
redis: {url: "unix:///r.sock", prefix: "{hero2}"}
nats: {listen: "127.0.0.1:4222", sync: always}
zinit: {socket: /z.sock}
log: {level: warn, format: json}
jobs: {retries: 2, timeout: 8m, max_priority_wait: 90s, retry_backoff: [2s, 9m], max_crashes: 5, cancel_grace: 3s, watchdog_after: 7s, keep_most: 60, keep_age: 5h, keep_result: 0s, dead_most: 70, dead_age: 2h}
schedules:
- name: nightly
  cron: "0 3 * * *"
  timezone: Europe/Berlin
  type: bash
  script_file: nightly.sh
  missed: skip
  timeout: 10m
  start_by: 1h
  priority: -3
  env: {A: b}
pools:
  etl:
    type: py
    retries: 0
    interpreter: "python3 -X utf8 -"
    env: {A: b}
    dir: /tmp
    after: [db]
    min: 1
    max: 4
    target_backlog: 2
    activation: 3
    idle_timeout: 30s
    start_timeout: 5s
    stop_timeout: 7s
    health: {ping_every: 1m, ping_timeout: 2s, ping_lost: 2}
    restart: {backoff: [2s, 9s], crash_loop: {exits: 4, within: 1m}}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := c.Pools["etl"]
	if p.Type != "py" || *p.Max != 4 || p.IdleTimeout != 30*time.Second || p.Restart.Backoff[1] != 9*time.Second || p.Health.PingLost != 2 || c.Redis.Prefix != "{hero2}" {
		t.Errorf("%+v", c)
	}
	d := c.Schedules[0].Definition()
	if err := d.Check(); err != nil || d.Script != "echo night\n" || d.Timezone != "Europe/Berlin" || d.Missed != "skip" {
		t.Errorf("%v %+v", err, d)
	}
	if !maps.Equal(d.Headers, map[string]string{"Hero-Timeout": "600", "Hero-Start-By": "3600", "Hero-Priority": "-3", "Hero-Env-A": "b"}) {
		t.Errorf("headers %v", d.Headers)
	}
	if want := (Jobs{
		Retries: 2, Timeout: 8 * time.Minute,
		MaxPriorityWait: 90 * time.Second, RetryBackoff: []time.Duration{2 * time.Second, 9 * time.Minute}, MaxCrashes: 5,
		CancelGrace: 3 * time.Second, WatchdogAfter: 7 * time.Second, DeadMost: 70, DeadAge: 2 * time.Hour, KeepMost: 60, KeepAge: 5 * time.Hour, KeepResult: new(time.Duration),
	}); !reflect.DeepEqual(c.Jobs, want) {
		t.Errorf("jobs %+v", c.Jobs)
	}
	if d := c.Defaults(); d["py"] != (dispatch.Defaults{Timeout: 8 * time.Minute}) || d[""] != (dispatch.Defaults{Retries: 2, Timeout: 8 * time.Minute}) {
		t.Errorf("defaults %+v", d)
	}
	if _, always, err := c.NATS.SyncInterval(); !always || err != nil {
		t.Error("sync: always was not read")
	}
}

// Each fault names line, key, what was got and what is allowed.
func TestFaultsNameLineKeyAndWhatIsAllowed(t *testing.T) {
	for text, want := range map[string][]string{
		"pools:\n  bash:\n    mn: 1\n":                       {":[3:5]", "mn", `did you mean "min"`},
		"pols: {}\n":                                         {":[1:1]", "pols", `did you mean "pools"`},
		"pools:\n  bash:\n    max: -1\n":                     {":3", "pools.bash.max", "got -1", "0 to 1024"},
		"pools:\n  bash:\n    max: 2\n    min: 3\n":          {":4", "pools.bash.min", "got 3", "max (2)"},
		"pools:\n  bash:\n    max: many\n":                   {"3:", "max: many"},
		"pools:\n  a.b: {}\n":                                {"a.b", "A-Z a-z 0-9"},
		"pools:\n  bash:\n    idle_timeout: -5s\n":           {":3", "idle_timeout", "-5s", "above 0"},
		"pools:\n  bash:\n    restart: {backoff: [1s]}\n":    {":3", "restart.backoff", "[first, longest]"},
		"pools:\n  bash:\n    health_check: x\n":             {":3", "not supported yet"},
		"pools:\n  bash:\n    limits: {memory: 1.5G}\n":      {":3", "pools.bash.limits.memory", "1.5G", "such as 512M"},
		"pools:\n  bash:\n    limits: {cpu: -1}\n":           {":3", "pools.bash.limits.cpu", "-1", "processors"},
		"pools:\n  bash:\n    limits: {files: 3}\n":          {":3", "pools.bash.limits.files", "16 or more"},
		"pools:\n  bash:\n    max: 1\n    max: 2\n":          {"4:", "max"},
		"log: {level: loud}\n":                               {":1", "log.level", "loud", "debug, info"},
		"nats: {listen: 127.0.0.1}\n":                        {":1", "nats.listen", "host:port"},
		"nats: {sync: never}\n":                              {":1", "nats.sync", "always"},
		"pools:\n  bash:\n    env: {'A=B': x}\n":             {":3", "pools.bash.env", "letters"},
		"pools:\n  bash: {command: /x, interpreter: y}\n":    {":2", "interpreter", "not both"},
		"pools:\n  osis: {protocol: rest, command: x}\n":     {":2", "pools.osis.protocol", "hero"},
		"pools:\n  osis: {protocol: hero}\n":                 {":2", "pools.osis.protocol", "a command"},
		"pools:\n  bash: {dir: work}\n":                      {":2", "pools.bash.dir", `got "work"`, "absolute"},
		"pools:\n  bash: {concurrency: 1001}\n":              {":2", "pools.bash.concurrency", "1 to 1000"},
		"pools:\n  bash: {interpreter: \"sh 'x\"}\n":         {":2", "pools.bash.interpreter", "quotes"},
		"pools:\n  v:\n    interpreter: v run {script.v!}\n": {":3", "pools.v.interpreter", "{script.EXT}"},
		"pools:\n  bash:\n    interpeter: sh\n":              {":[3:5]", "interpeter", `did you mean "interpreter"`},
		"pools:\n  bash: {}\n---\nlog: {level: warn}\n":      {":4", "second YAML document"},
		"---\n# nothing\n---\npools:\n  bash: {}\n":          {":4", "second YAML document"},
		"pools: [\n":                         {"1:8", "not found"},
		"jobs: {max_priority_wait: 100ms}\n": {":1", "jobs.max_priority_wait", "100ms", "1s to 24h"},
		"jobs: {retry_backoff: [9s, 1s]}\n":  {":1", "jobs.retry_backoff", "[9s 1s]", "[first, longest]"},
		"jobs: {retry_backoff: [1s]}\n":      {":1", "jobs.retry_backoff", "such as [1s, 1h]"},
		"jobs: {retries: 101}\n":             {":1", "jobs.retries", "got 101", "0 to 100"},
		"jobs: {timeout: 800h}\n":            {":1", "jobs.timeout", "got 800h", "720h"},
		"pools:\n  bash: {retries: -1}\n":    {":2", "pools.bash.retries", "got -1"},
		"pools:\n  a: {type: x, timeout: 0s}\n  b: {type: X, timeout: 1s}\n": {":3", "pools.b.timeout", "got 1s", "the same as pools.a"},
		"pools:\n  a: {type: x, retries: 1}\n  b: {types: {x: 1, y: 1}}\n":   {":3", "pools.b.retries", "the same as pools.a"},
		"jobs: {max_crashes: -1}\n":                                          {":1", "jobs.max_crashes", "got -1", "1 to 1000"},
		"jobs: {cancel_grace: 1ms}\n":                                        {":1", "jobs.cancel_grace", "10ms to 1h"},
		"jobs: {watchdog_after: 10ms}\n":                                     {":1", "jobs.watchdog_after", "1s to 1h"},
		"jobs: {dead_most: -4}\n":                                            {":1", "jobs.dead_most", "got -4", "1 to 1000000"},
		"jobs: {dead_age: 1s}\n":                                             {":1", "jobs.dead_age", "1m to 8760h"},
		"jobs: {keep_age: 10ms}\n":                                           {":1", "jobs.keep_age", "1s to 720h"},
		"jobs: {keep_result: 2h}\n":                                          {":1", "jobs.keep_result", "0 (none) to keep_age, 1h"},
		"jobs: {keep_most: -1}\n":                                            {":1", "jobs.keep_most", "got -1", "1 to 1000000"},
		"jobs: {dead_mst: 1}\n":                                              {":[1:8]", `did you mean "dead_most"`},
		"redis: {prefix: 'a:b'}\n":                                           {":1", "redis.prefix"},
		"pools:\n  bash:\n    min: 5\n    max: 2\n    target_backlog: -1\n":  {"pools.bash.min", "pools.bash.target_backlog"},
		"pools:\n  x: {max: 1}\n":                                            {":2", "pools.x.interpreter", "none is known for type x", "bash osis python"},
		"pools:\n  all: {types: {bash: 1, nix: 1}}\n":                        {":2", "pools.all.interpreter", "type nix"},
		"pools:\n  all: {types: {bash: 0}}\n":                                {":2", "pools.all.types", "weights of 1 to 20", "weight 0"},
		"pools:\n  all: {types: {bash: 21}}\n":                               {":2", "pools.all.types", "weights of 1 to 20", "weight 21"},
		"pools:\n  all: {types: {Bash: 1, v: 2}}\n":                          {":2", "pools.all.types", "Bash:1", "small letters"},
		"pools:\n  all: {type: x, types: {a: 1, b: 2}}\n":                    {":2", "pools.all.types", "type among them", "serves a, b"},
		"pools:\n  o: {protocol: hero, command: x, types: {a: , b: }}\n":     {":2", "pools.o.types", "waits on one list"},
	} {
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%q was accepted", text)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: no %q in:\n%v", text, w, err)
			}
		}
	}
}
