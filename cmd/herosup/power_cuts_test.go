package main

import (
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/dispatch/client"
)

var (
	cuts    = flag.Int("cuts", 4, "power cuts of TestPowerCuts")
	cutSeed = flag.Uint64("cut-seed", 0, "its seed; 0 takes one from the clock and prints it")
)

// A power cut ends everything at once, and of what was written in the last second each file has kept some: its end is missing, or zeros, and
// Redis may have more of a job than the log, or less. The next start comes up over that by itself, what is submitted then is run,
// and so is all that is left.
func TestPowerCuts(t *testing.T) {
	seed := *cutSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-cuts %d -cut-seed %d", *cuts, seed)
	rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
	r := newRig(t, withServer, bashPool)
	for n := range *cuts {
		some := 5 + rnd.IntN(50)
		for i := range some {
			r.submit("bash", fmt.Sprintf("%d-%d", n, i), "true")
		}
		for i := range rnd.IntN(5) {
			if _, err := r.d.jobs.Submit(t.Context(), "bash", "true", client.Options{ID: fmt.Sprintf("later-%d-%d", n, i), Delay: time.Hour}); err != nil {
				t.Fatal(err)
			}
		}
		goal := len(r.ends) + rnd.IntN(some)
		r.until("some have ended", func() bool { return len(r.ends) >= goal })
		spoilt := r.powerCut(rnd)
		r.up()
		id := fmt.Sprint("new-", n)
		r.submit("bash", id, "true")
		r.until("a job that came after; spoilt "+spoilt, func() bool { return len(r.ends[id]) > 0 })
		r.poll("the end of all that is left; spoilt "+spoilt, func() bool {
			for j, err := range r.d.jobs.List(t.Context(), client.Filter{}, nil) {
				if err != nil {
					t.Fatal(err)
				}
				if j.State != "finished" && j.State != "delayed" {
					return false
				}
			}
			return true
		})
	}
}

// powerCut ends all processes of the rig, and takes some of the end of its files away. It tells of which.
func (r *rig) powerCut(rnd *rand.Rand) (spoilt string) {
	r.t.Helper()
	r.d.close()
	r.poll("the end of all processes", func() bool {
		left := r.processes()
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
	err := filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		name, _ := filepath.Rel(r.dir, path)
		grows := strings.HasSuffix(name, ".blk") || strings.HasSuffix(name, ".incr.aof") || strings.HasSuffix(name, ".log")
		written := grows || strings.HasPrefix(name, "zinit") || name == "daemon.json" || name == "nats/port"
		if !written || rnd.IntN(2) == 0 { // the others were written long ago
			return nil
		}
		info, err := e.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		from := int64(0)
		if grows {
			from = max(0, info.Size()-1-rnd.Int64N([]int64{40, 400, 4000}[rnd.IntN(3)]))
		}
		zeros := rnd.IntN(2) == 0
		spoilt += fmt.Sprintf("%s from %d of %d (zeros %v), ", name, from, info.Size(), zeros)
		if err := os.Truncate(path, from); err != nil || !zeros {
			return err
		}
		return os.Truncate(path, info.Size()) // which fills it with zeros
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return spoilt
}

// processes are all that were started for the rig.
func (r *rig) processes() (pids []int) {
	r.t.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile("/proc/" + e.Name() + "/environ")
		args, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		state := filepath.Dir(r.dir)
		if strings.Contains(string(args), state) || strings.Contains(string(env), state) {
			pids = append(pids, pid)
		}
	}
	return pids
}
