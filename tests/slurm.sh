#!/usr/bin/env bash
# A real Slurm on this one machine, for tests/test_slurm.py: `tests/slurm.sh start` and `tests/slurm.sh stop`, as root.
# Wants Debian's packages slurm-wlm and munge; no systemd. It writes /etc/slurm/slurm.conf, so it refuses where a Slurm
# of somebody else is set up. The partitions are those of params/slurm; `urgent` preempts them.
set -euo pipefail

conf=/etc/slurm/slurm.conf state=/var/tmp/asdlib-slurm mark="# made by tests/slurm.sh"

say() {
    echo "tests/slurm.sh: $*" >&2
    exit 2
}

stop() {
    for daemon in slurmd slurmctld munged; do
        [ -s "$state/$daemon.pid" ] || continue
        pid=$(cat "$state/$daemon.pid")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 100); do # a zombie has no program any more
            readlink "/proc/$pid/exe" >/dev/null || break
            sleep 0.1
        done
    done
    rm -rf "$state"
    grep -qsF "$mark" "$conf" && rm -f "$conf" /etc/slurm/gres.conf || true
}

[ "$(id -u)" = 0 ] || say "needs root: it starts system daemons"
for program in munged slurmctld slurmd sbatch setpriv; do
    command -v $program >/dev/null || say "$program is missing; apt-get install slurm-wlm munge"
done
[ ! -e $conf ] || grep -qF "$mark" $conf || say "$conf is there and not ours; this is for a machine without a Slurm"

case "${1:-}" in
stop) stop && exit ;;
start) stop ;;
*) say "expected start or stop" ;;
esac

mkdir -p $state /run/munge
chown munge: $state /run/munge
host=$(hostname -s)
# Two devices that are no GPUs let jobs ask for one; jobs that ended stay known for ten minutes, which squeue needs.
cat >/etc/slurm/gres.conf <<END
Name=gpu File=/dev/null
Name=gpu File=/dev/zero
END
cat >$conf <<END
$mark
ClusterName=one
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MinJobAge=600
KillWait=5
ReturnToService=2
$(slurmd -C | head -1) Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE
PartitionName=gpu Nodes=$host MaxTime=INFINITE
PartitionName=urgent Nodes=$host PriorityTier=2 PreemptMode=OFF
END

setpriv --reuid munge --regid munge --clear-groups munged --pid-file $state/munged.pid \
    --log-file $state/munged.log --seed-file $state/munged.seed
slurmctld
slurmd
for _ in $(seq 50); do
    [ "$(sinfo --noheader --format %T --partition cpu 2>/dev/null)" = idle ] && exit
    sleep 0.2
done
say "the node does not become idle; see $state/*.log"
