#!/usr/bin/env python3
"""A whole Herosup actor of python's standard library: it runs each job's script as python, in this process.

dispatch/PROTOCOL.md explains it. An error of Redis ends the process: it is started again, what it held is given back.
"""
import argparse, contextlib, io, json, os, signal, socket, threading, time, traceback, urllib.parse

def connect(url):
    u = urllib.parse.urlparse(url)
    sock = socket.socket(socket.AF_UNIX if u.scheme == "unix" else socket.AF_INET)
    sock.connect(u.path if u.scheme == "unix" else (u.hostname, u.port or 6379))
    r = sock.makefile("rwb")
    if "HEROSUP_REDIS_PASSWORD" in os.environ: redis(r, "AUTH", os.environ["HEROSUP_REDIS_PASSWORD"])
    return r

def redis(r, *words):
    words = [str(w).encode(errors="replace") for w in words]  # a job's output may have half a character
    r.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)), r.flush()
    return answer(r)

def answer(r):
    kind, rest = (line := r.readline())[:1], line[1:-2].decode()
    if kind in (b"", b"-"): raise ConnectionError(rest or "Redis went away")
    if kind in b"+:" or rest == "-1": return rest if kind in b"+:" else None
    return [answer(r) for _ in range(int(rest))] if kind == b"*" else r.read(int(rest) + 2)[:-2].decode(errors="replace")

def script(r, name, roles, *args):  # roles are the KEYS of the script's header, args its ARGV
    keys = [f"{o.prefix}:{where.get(role, role)}" for role in roles.split()]
    while not (text := redis(r, "HGET", f"{o.prefix}:script:3", name)): time.sleep(0.2)  # the daemon fills Redis
    return redis(r, "EVAL", text, len(keys), *keys, *args)

def hello(r):  # and what is in hand since an earlier epoch: a Redis that was rebuilt leaves it here
    global epoch
    while not (new := redis(r, "GET", f"{o.prefix}:epoch")) or (got := script(r, "hello",
            "epoch facts actor wake held idle incarnations types lease", new, o.type, o.actor_id, inc, 1, "", socket.gethostname()))[0] == "NO_EPOCH":
        time.sleep(0.2)
    if got[0] != "OK": exit(f"{o.actor_id}: {got}")  # SUPERSEDED: another process has the name
    mine = [w for began, attempt, timeout, id, *job in list(hand)
            for w in (f"{epoch} {attempt} {int(1000 * (time.monotonic() - began))} {timeout or 0} {id}", *job)]
    script(r, "assert", "epoch actor held idle lease types dead asserted queue delayed", new, o.type, o.actor_id, inc, 1, 1, *mine)
    epoch = new  # an end of what was not left here (S) will change nothing

def keep(r, n=0):  # on a connection of its own, as the other one waits or works: a sign of life, and the look for a rebuild
    global unwanted
    try:
        while not time.sleep(0.5):
            if hand and redis(r, "GET", f"{o.prefix}:epoch") not in (None, epoch): hello(r)
            if (n := n + 1) % 6 == 0:
                mine = list(hand)
                told = script(r, "renew", "epoch lease actor", epoch, inc, *[f"{h[1]} {h[3]}" for h in mine])[1:]
                for unwanted, letter in zip(mine, "".join(told)):
                    if letter != "O": os.kill(os.getpid(), signal.SIGUSR1)  # cancelled, or another's by now
    except BaseException:  # of a thread; without it nobody would know that we live
        traceback.print_exc(), os._exit(1)

def run(attempt, timeout, id, text, *more):  # returns what exchange wants to hear of an end
    global at_work
    out, hand[:] = io.StringIO(), [(time.monotonic(), attempt, timeout, id, text, *(more or ("", "", "")))]
    try:
        at_work = hand[0]
        signal.setitimer(signal.ITIMER_REAL, float(timeout or 0))
        with contextlib.redirect_stdout(out): exec("print('pong', end='')" if text == "ping" else text, {"__name__": "__main__"})
    except BaseException as e:
        said = e.code if isinstance(e, SystemExit) else 1  # of exit(): a number, a text, or nothing
        if code := said & 255 if isinstance(said, int) else 1 if said else 0:
            why = str(e) if isinstance(e, Ended) else f"exit {code}"
            return [f"{attempt} error {code} {id}", out.getvalue(), traceback.format_exc(), why, 0.5]
    finally:
        at_work = None
        signal.setitimer(signal.ITIMER_REAL, 0)
    return [f"{attempt} finished 0 {id}", out.getvalue()]

class Ended(BaseException): pass  # by us: the script's own TimeoutError is no timeout of the job

def late(*_): raise Ended("timeout")

def cancelled(*_):  # what it was meant for may have ended since
    if at_work is not None and at_work is unwanted: raise Ended("cancelled")

a = argparse.ArgumentParser()
for flag, default in ("--redis-url", None), ("--actor-id", None), ("--type", "py"), ("--prefix", "hero"): a.add_argument(flag, default=default)
a.add_argument("--health-check", action="store_true")
o, hand, stat = a.parse_args(), [], open("/proc/self/stat").read().rsplit(")", 1)[1].split()
r, inc = connect(o.redis_url), f"{open('/proc/sys/kernel/random/boot_id').read()[:8]}-{os.getpid()}-{stat[19]}"
if o.health_check: exit(redis(r, "PING") != "PONG")
where = {"queue": f"q:work:type:{o.type}", "held": f"held:{inc}", "idle": f"idle:{o.type}", "lease": f"lease:{o.type}",
         "actor": f"actor:{o.actor_id}", "wake": f"wake:{o.actor_id}"}
signal.signal(signal.SIGALRM, late), signal.signal(signal.SIGUSR1, cancelled)
epoch, ended, at_work, unwanted = None, [], None, None
hello(r)
threading.Thread(target=keep, args=[connect(o.redis_url)], daemon=True).start()
while True:
    code, *rest = script(r, "exchange", "queue idle actor held wake lease", epoch, o.type, o.actor_id, inc, 1, 0, 1, *ended)
    if code in ("NO_EPOCH", "UNREGISTERED"):
        hello(r)
        continue  # and tell the end again
    ended, hand[:] = [], []
    if jobs := rest[1:]:  # "<attempt> <held> <more> <timeout> <id>", the script, and with more: environment, caller, context
        attempt, _, _, timeout, id = jobs[0].split(" ", 4)
        ended = run(attempt, timeout, id, *jobs[1:])
    elif code in ("IDLE", "CLOSED") and (got := redis(r, "BLPOP", f"{o.prefix}:wake:{o.actor_id}", 300)):
        m = json.loads(got[1])
        if m["kind"] == "ping": script(r, "pong", "epoch facts actor", epoch, o.type, o.actor_id, inc, m["nonce"])
        if m["kind"] == "job" and (m["incarnation"], m["epoch"]) == (inc, epoch): ended = run(*(m.get(k, "") for k in "attempt timeout id script env caller context".split()))
