package redisd

import (
	"net/url"
	"os"
	"os/exec"

	"herosup/dispatch/actor"
	"herosup/dispatch/store"
)

// Kind is which of the three ways a Redis came by.
type Kind string

// The kinds, in the order in which they are tried.
const (
	Given    Kind = "given"
	Server   Kind = "server"
	Embedded Kind = "embedded"
)

// Choice is a decision for one Redis.
type Choice struct {
	Kind Kind
	// URL reaches it. It may hold a password: print Public.
	URL string
	// Exec is the service to run; nil for a given one.
	Exec []string
	// Program is the server's, of kind Server.
	Program string
	// Dir is the service's working folder.
	Dir string
	// Means is one line for people: what it is and what that means for the work
	// kept in it.
	Means string
}

// Options are what Choose looks at.
type Options struct {
	// URL is the one given by configuration, flag or environment; "" for none.
	URL string
	// Socket and Dir are where a server of ours listens and keeps its file.
	Socket, Dir string
	// Self is our own program's kept copy.
	Self string
	// LookPath finds a program; nil means exec.LookPath.
	LookPath func(string) (string, error)
}

// Choose decides which Redis to use; it starts nothing.
func Choose(o Options) (Choice, error) {
	if o.URL != "" {
		if err := CheckURL(o.URL); err != nil {
			return Choice{}, err
		}
		return Choice{Kind: Given, URL: o.URL, Means: "given: what it keeps is up to its own settings; accepted jobs are in the log as well"}, nil
	}
	look := o.LookPath
	if look == nil {
		look = exec.LookPath
	}
	c := Choice{URL: "unix://" + o.Socket, Dir: o.Dir}
	for _, name := range []string{"redis-server", "valkey-server"} {
		path, err := look(name)
		if err != nil {
			continue
		}
		c.Kind, c.Program = Server, path
		c.Exec = []string{
			path, "--port", "0", "--unixsocket", o.Socket, "--unixsocketperm", "700", "--dir", o.Dir,
			"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no",
		}
		c.Exec = o.guarded(c.Exec...)
		c.Means = name + " of this machine, append-only file: a power cut can lose its last second, which the log makes good"
		return c, nil
	}
	c.Kind = Embedded
	c.Exec = o.guarded(o.Self, "redis", "--socket", o.Socket)
	c.Means = "embedded, in memory: if its process dies, jobs come back from the log, results not fetched yet do not (install redis-server for ten times the speed and an append-only file)"
	return c, nil
}

// guarded is a command that runs argv as the only Redis of its folder (Guard).
func (o Options) guarded(argv ...string) []string {
	return append([]string{o.Self, "redis", "--guard", o.Dir, "--"}, argv...)
}

// CheckURL refuses what can not be used; its error shows no password.
func CheckURL(s string) error { return store.CheckURL(s) }

// Public is the URL without its passwords.
func Public(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(unreadable)"
	}
	if q := u.Query(); q.Has(passwordOption) {
		q.Set(passwordOption, "xxxxx") // as Redacted has it
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// A Sentinel's URL has Redis' own password among its options: the one before the host is the Sentinel's.
const (
	passwordOption = "password"
	sentinelOption = "master_name"
)

// Split takes the passwords out of a URL; they go into the environment of actors, under the names of env: argument
// lists can be read by every user of the machine.
func Split(s string) (public string, env map[string]string) {
	env = map[string]string{}
	u, err := url.Parse(s)
	if err != nil {
		return s, env
	}
	q := u.Query()
	name := actor.PasswordEnv
	if q.Has(sentinelOption) {
		name = actor.SentinelPasswordEnv
		if p := q.Get(passwordOption); p != "" {
			env[actor.PasswordEnv] = p
			q.Del(passwordOption)
			u.RawQuery = q.Encode()
		}
	}
	if password, has := u.User.Password(); has {
		env[name] = password
		if u.User = url.User(u.User.Username()); u.User.Username() == "" {
			u.User = nil
		}
	}
	if len(env) == 0 {
		return s, env
	}
	return u.String(), env
}

// FromEnv is the URL that the environment gives, or "".
func FromEnv() string { return os.Getenv("HEROSUP_REDIS_URL") }
