// seccomp's filter is a list of numbers of system calls that give EPERM; all others go through, as
// a database's threads need many. The architecture is checked first, because the same number means
// another call in the 32-bit table.
#include "storage/sql_walls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <vector>

namespace penstock::storage {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// Refused: to reach others, to become others, to change files by their names.
constexpr long kRefusedCalls[] = {
    SYS_socket,         SYS_socketpair, SYS_connect,
    SYS_bind,           SYS_listen,     SYS_accept4,
    SYS_sendto,         SYS_sendmsg,    SYS_execve,
    SYS_execveat,       SYS_ptrace,     SYS_process_vm_readv,
    SYS_kill,           SYS_setns,      SYS_process_vm_writev,
    SYS_unshare,        SYS_mount,      SYS_bpf,
    SYS_io_uring_setup, SYS_keyctl,     SYS_unlinkat,
    SYS_renameat2,      SYS_linkat,     SYS_symlinkat,
    SYS_mkdirat,        SYS_fchmodat,   SYS_fchownat,
    SYS_truncate,       SYS_mknodat,
#if defined(__x86_64__)
    SYS_unlink,         SYS_rename,     SYS_renameat,
    SYS_link,           SYS_symlink,    SYS_mkdir,
    SYS_rmdir,          SYS_chmod,      SYS_chown,
    SYS_accept,         SYS_fork,       SYS_vfork,
    SYS_mknod,          SYS_creat,
#endif
};

Status RefuseCalls() {
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const long call : kRefusedCalls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return FromErrno(errno, "cannot give up privileges");
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
    return FromErrno(errno, "cannot refuse system calls");
  return {};
}

Status Limit(int what, uint64_t value, const char* name) {
  const rlimit limit{value, value};
  if (setrlimit(static_cast<__rlimit_resource_t>(what), &limit) != 0)
    return FromErrno(errno, fmt::format("cannot limit {}", name));
  return {};
}

uint64_t AddressSpaceNow() {
  uint64_t pages = 0;
  FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  if (std::fscanf(file, "%lu", &pages) != 1) pages = 0;
  std::fclose(file);
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Status ShutIn(const Walls& walls) {
  TRY(Limit(RLIMIT_CORE, 0, "core dumps"));
  TRY(Limit(RLIMIT_CPU, static_cast<uint64_t>(walls.cpu_seconds), "processor time"));
  TRY(Limit(RLIMIT_FSIZE, walls.file_bytes, "file size"));
  if (!kSanitized && walls.memory_bytes > 0)
    TRY(Limit(RLIMIT_AS, AddressSpaceNow() + walls.memory_bytes, "memory"));
  if (kSanitized) return {};
  return RefuseCalls();
}

}  // namespace penstock::storage
