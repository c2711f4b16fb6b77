import type { CriuRule } from './rule.js';

/** The node: CPU, kernel, and CRIU itself. */
export const MACHINE_RULES: readonly CriuRule[] = [
  {
    pattern:
      /FPU feature required by image is not supported|CPU (?:instruction )?capabilities do not match|CPU xfeatures has unsupported bits|CPU xsave (?:max )?size mismatch|FPU xsave area present, but host|missing support fxsave|PACG support is required/,
    sentence: "this node's CPU lacks a feature that the process was started with",
    hint: 'Choose a target with the same CPU features.',
  },
  {
    pattern:
      /Can't (?:set|obtain|restore) (?:GP\/)?FPU registers|Can't set xstate|Corruption in .* area|reported \d+ bytes \(expecting \d+\)/,
    sentence: "this CRIU does not know all registers of the node's CPU",
    hint: 'Install the newest CRIU on both nodes (large register areas, as AMX has, need 3.19 or newer).',
  },
  {
    pattern: /shstk: |shadow stack|Cannot unlock CET/,
    sentence: 'it uses shadow stacks (CET), which this CRIU or kernel cannot carry over',
    hint: 'Switch them off for the program: GLIBC_TUNABLES=glibc.cpu.x86_shstk=off.',
  },
  {
    pattern: /Core march mismatch/,
    sentence: 'it was dumped on another processor architecture',
    hint: 'Choose a target of the same architecture.',
  },
  {
    pattern: /rseq/i,
    sentence:
      'it uses restartable sequences (rseq, as glibc 2.35 and newer do), which this CRIU or kernel cannot carry over',
    hint: 'Install CRIU 3.17 or newer and kernel 5.13 or newer, or start the program with GLIBC_TUNABLES=glibc.pthread.rseq=0.',
  },
  {
    pattern:
      /madvise\(\S+, \S+, MADV_GUARD_INSTALL\) failed|Collect MADV_GUARD_INSTALL pages|Can't unmap guard page|Unable to map a guard page/,
    sentence: 'it uses guard pages that this kernel cannot set up (MADV_GUARD_INSTALL)',
    hint: 'Choose a target whose kernel is 6.13 or newer.',
  },
  {
    pattern: /vdso:|vDSO|VVAR|Task had vdso, restorer doesn't|nonconsecutive vvar/,
    sentence: "this CRIU does not get along with this node's kernel (vDSO)",
    hint: 'Install CRIU 4.0 or newer.',
  },
  {
    pattern: /PAGEMAP_SCAN|pagemap-cache: .*(?:Can't read|Failed)|Can't read \d+'s pagemap|Page read err/,
    sentence: 'CRIU could not read the memory of a process',
    hint: 'CRIU needs CAP_SYS_PTRACE and CAP_SYS_ADMIN on the node; a newer CRIU may know this kernel better.',
  },
  {
    pattern:
      /Can't restore high memory region|Can't dump high memory region|Can't restore \S+ mapping with|sys_prctl\(PR_SET_MM, PR_SET_MM_MAP\) failed|No suitable area for task_restore|Unable to reserve memory/,
    sentence: "its memory layout does not fit this node's kernel",
    hint: 'Choose a target with the same kernel version and address space (5-level paging, vm.mmap_min_addr).',
  },
  {
    pattern:
      /Unable to open an userfaultfd descriptor|UFFD is not supported|Lazy pages are not available|uffd:|lazy-pages:/,
    sentence: 'its memory cannot be fetched later (userfaultfd)',
    hint: 'Switch it on on the node: sysctl vm.unprivileged_userfaultfd=1, kernel with CONFIG_USERFAULTFD.',
  },
  {
    pattern: /kerndat\S* .*failed when initializing kerndat|Could not initialize kernel features detection/,
    sentence: "CRIU could not find out what this node's kernel can do",
    hint: 'Run criu check on the node; remove /run/criu.kdat; install the newest CRIU.',
  },
  {
    pattern: /You need to be root to run this command|CAP_CHECKPOINT_RESTORE/,
    sentence: 'CRIU was not run as root',
    hint: 'The agent must be privileged.',
  },
  {
    pattern:
      /Not supported images version|Too old image, no longer supported|Unknown image format|[Mm]agic doesn't match|Images corrupted or too old criu|Missing required plugin: (\S+)/,
    sentence: ([, plugin]) =>
      plugin
        ? `CRIU on this node lacks the plugin ${plugin}`
        : 'CRIU on this node does not read what the other one wrote',
    hint: 'Install the same version of CRIU, with the same plugins, on both nodes.',
  },
  {
    pattern:
      /Unexpected EOF on|Failed unpacking object|Img trimmed|Unexpected EOF|[Ii]mage corrupt|corrupted image|Corrupted /,
    sentence: 'the checkpoint is damaged or not complete',
    hint: 'Migrate again; if it happens twice, check the disks and the free room of both nodes.',
  },
  {
    pattern: /page-xfer: |page server|tls: |Remote side closed connection/,
    sentence: 'the memory could not be sent to the other node',
    hint: 'Check the network between the nodes and migrate again.',
  },
  {
    pattern:
      /(?:Unable to load|Can't load plugin|Corrupted plugin|Failed in init\(\d+\) of) "?(\S+?)"?(?::.*)?$/,
    sentence: ([, name]) => `the CRIU plugin ${name} cannot be loaded`,
    hint: 'Install CRIU and its plugins from one source, or remove the plugin from /usr/lib/criu.',
  },
];
