package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// MasterName is what the Sentinels call the master.
const MasterName = "hero"

// Failover is a master, a replica and three Sentinels that watch them.
type Failover struct {
	t         testing.TB
	Servers   [2]*Server // the first is the master at the start
	Sentinels []*Server
}

// StartSentinels runs them; a master that is gone for half a second is replaced.
func StartSentinels(t testing.TB, args ...string) *Failover {
	t.Helper()
	f := &Failover{t: t}
	f.Servers[0] = Start(t, append([]string{"--repl-diskless-sync-delay", "0"}, args...)...)
	f.Servers[1] = Start(t, append([]string{"--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 " + strconv.Itoa(f.Servers[0].Port)}, args...)...)
	Until(t, "the replica follows", func() bool { return strings.Contains(f.info(f.Servers[1]), "master_link_status:up") })
	for range 3 {
		f.Sentinels = append(f.Sentinels, startSentinel(t, f.Servers[0].Port))
	}
	for _, s := range f.Sentinels {
		c := s.Client()
		Until(t, "the Sentinels know each other and the replica", func() bool {
			text := c.Info(context.Background(), "sentinel").Val()
			return strings.Contains(text, "slaves=1,sentinels=3")
		})
		_ = c.Close()
	}
	return f
}

func startSentinel(t testing.TB, master int) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "hr")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Port: freePort(t), Dir: dir, t: t}
	conf := filepath.Join(dir, "sentinel.conf") // the Sentinel writes to it
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 2\n"+
		"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 3000\n", s.Port, dir, MasterName, master, MasterName, MasterName)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{conf}
	t.Cleanup(func() { s.Kill(); _ = os.RemoveAll(dir) })
	s.Boot()
	return s
}

// URL names the three Sentinels.
func (f *Failover) URL() string {
	u := "redis://" + f.Sentinels[0].Addr() + "/0?master_name=" + MasterName
	for _, s := range f.Sentinels[1:] {
		u += "&addr=" + s.Addr()
	}
	return u
}

// Writable waits until a server is a master and every Sentinel names it: nobody can know of it earlier.
func (f *Failover) Writable(s *Server) {
	f.t.Helper()
	Until(f.t, "the replica is the master", func() bool { return strings.Contains(f.info(s), "role:master") })
	for _, watch := range f.Sentinels {
		c := watch.Client()
		Until(f.t, "the Sentinels name it", func() bool {
			addr, _ := c.Do(context.Background(), "SENTINEL", "get-master-addr-by-name", MasterName).StringSlice()
			return len(addr) == 2 && addr[1] == strconv.Itoa(s.Port)
		})
		_ = c.Close()
	}
}

func (f *Failover) info(s *Server) string {
	c := s.Client()
	defer c.Close()
	return c.Info(context.Background(), "replication").Val()
}

// StartCluster runs a Cluster of so many masters and returns the URL of the last one: whoever uses it has to find
// the one with its slot.
func StartCluster(t testing.TB, masters int) (url string, all []*Server) {
	t.Helper()
	for range masters {
		all = append(all, Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t)), "--cluster-node-timeout", "1000"))
	}
	const slots = 16384
	for i, s := range all {
		c := s.Client()
		defer c.Close()
		first, last := i*slots/masters, (i+1)*slots/masters-1
		if err := c.ClusterAddSlotsRange(context.Background(), first, last).Err(); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			bus := all[0].args[slices.Index(all[0].args, "--cluster-port")+1]
			if err := c.Do(context.Background(), "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(all[0].Port), bus).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range all {
		c := s.Client()
		Until(t, "the Cluster is whole", func() bool {
			text := c.ClusterInfo(context.Background()).Val()
			return strings.Contains(text, "cluster_state:ok") && strings.Contains(text, "cluster_known_nodes:"+strconv.Itoa(masters))
		})
		_ = c.Close()
	}
	return "redis://" + all[masters-1].Addr() + "?cluster=true", all
}
