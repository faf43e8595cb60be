package dispatch

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	goactor "herosup/dispatch/actor"
	"herosup/dispatch/store"
	"herosup/events"
)

// blipJobs is how many jobs are under way when something happens to Redis; 10,000 for the proof in full.
var blipJobs = flag.Int("blip.jobs", 600, "jobs in each test of a blip")

// ledgerEnv makes this binary an actor: its value is "<redis url> <name> <ledger> <lease>". It writes into the ledger,
// which is outside of Redis, when a job begins and when it ends.
const ledgerEnv = "DISPATCH_TEST_LEDGER"

func ledgerActor(setting string) error {
	f := strings.Fields(setting)
	lease, err := time.ParseDuration(f[3])
	if err != nil {
		return err
	}
	s, err := store.Open(store.Options{URL: f[0], Lease: lease}, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	book, err := os.OpenFile(f[2], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer book.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { // ends with the test, whatever happens to it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return goactor.Run(ctx, goactor.Config{
		Store: s, Name: f[1], Type: "bash", Lease: lease, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Handler: func(ctx context.Context, j goactor.Job) goactor.Outcome {
			note := func(what string) {
				fmt.Fprintf(book, "%s %s %s %d\n", what, j.ID, f[1], time.Now().UnixMilli()) // one write, so one line
			}
			note("begin")
			d, _ := time.ParseDuration(j.Script)
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
				note("lost")
				return goactor.Failed("cut short", context.Cause(ctx).Error())
			}
			note("end")
			return goactor.Outcome{Output: "did " + j.ID}
		},
	})
}

// ledger is what the actors did, outside of Redis.
type ledger struct {
	b    *bed
	file string
}

func (b *bed) ledger() *ledger {
	b.Helper()
	l := &ledger{b: b, file: filepath.Join(b.TempDir(), "ledger")}
	if err := os.WriteFile(l.file, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	return l
}

// entry is one line: a job begins or ends.
type entry struct {
	what, job, actor string
	at               time.Time
}

func (l *ledger) read() []entry {
	l.b.Helper()
	f, err := os.Open(l.file)
	if err != nil {
		l.b.Fatal(err)
	}
	defer f.Close()
	var all []entry
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var e entry
		var ms int64
		if n, _ := fmt.Sscanf(sc.Text(), "%s %s %s %d", &e.what, &e.job, &e.actor, &ms); n == 4 {
			e.at = time.UnixMilli(ms)
			all = append(all, e)
		}
	}
	return all
}

// count is how often each job began or ended.
func (l *ledger) count(what string) map[string]int {
	n := map[string]int{}
	for _, e := range l.read() {
		if e.what == what {
			n[e.job]++
		}
	}
	return n
}

// fleet starts actors that are processes of their own.
func (l *ledger) fleet(url string, n int, lease time.Duration) []*exec.Cmd {
	l.b.Helper()
	var all []*exec.Cmd
	for i := range n {
		name := "bash_" + numeral(i+1)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %s", ledgerEnv, url, name, l.file, lease))
		out := &logWriter{t: l.b.TB}
		cmd.Stderr = out
		in, err := cmd.StdinPipe()
		if err != nil {
			l.b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			l.b.Fatal(err)
		}
		l.b.Cleanup(func() {
			_ = in.Close()
			_ = cmd.Process.Signal(syscall.SIGCONT)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			out.close()
		})
		all = append(all, cmd)
		l.b.publish(events.ActorStateChanged{Pool: "bash", Actor: name, To: "idle"}) // the keeper's word: known, so rung
	}
	return all
}

// submitMany publishes n jobs that take that long each, and returns when the log has them all.
func (b *bed) submitMany(n int, script string) []string {
	b.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("j%s-%d", b.idPart, i)
		m := &nats.Msg{Subject: submitSubject("hero", "bash"), Header: nats.Header{HeaderJobID: {ids[i]}}, Data: []byte(script)}
		if _, err := b.js.PublishMsgAsync(m); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-b.js.PublishAsyncComplete():
	case <-time.After(patience):
		b.Fatal("the log does not take the jobs")
	}
	return ids
}

// settled waits until every job has ended and the log is empty, and returns how many runs there were of each.
func (l *ledger) settled(ids []string) map[string]int {
	b := l.b
	b.Helper()
	limit := time.After(3*patience + time.Duration(len(ids))*20*time.Millisecond)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for b.logged() > 0 {
		select {
		case <-tick.C:
		case <-limit:
			b.Fatalf("%d jobs are still in the log, %d of %d ended in the ledger", b.logged(), len(l.count("end")), len(ids))
		}
	}
	begun, ended := l.count("begin"), l.count("end")
	again := 0
	for _, id := range ids {
		if ended[id] == 0 {
			b.Errorf("job %s is lost: begun %d times, never ended", id, begun[id])
		}
		if begun[id] > 1 {
			again++
		}
	}
	b.Logf("%d jobs, %d of them begun more than once", len(ids), again)
	return begun
}

// during waits until the ledger has so many ends.
func (l *ledger) during(ends int) {
	l.b.Helper()
	l.b.eventually(fmt.Sprintf("%d jobs have ended", ends), func() bool { return len(l.count("end")) >= ends })
}

// mainAsActor is TestMain's: this process is an actor of a test.
func mainAsActor() {
	if s := os.Getenv(ledgerEnv); s != "" {
		if err := ledgerActor(s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}
