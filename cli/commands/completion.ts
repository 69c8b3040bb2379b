// `onrush completion`: scripts with which a shell completes commands and options, made from the tree of commands.
import type { Command } from "commander";
import { addCommand } from "../command.ts";
import { UsageError } from "../failure.ts";

export function completionCommand(program: Command): void {
  addCommand(program, {
    usage: "completion <shell>",
    summary: "a script that completes commands in bash, zsh or fish",
    examples: [
      'eval "$(onrush completion bash)"    # in ~/.bashrc',
      'eval "$(onrush completion zsh)"     # in ~/.zshrc, after compinit',
      "onrush completion fish | source     # in ~/.config/fish/config.fish",
    ],
    async run({ args: [shell = ""], answer }) {
      const script = scriptFor(shell, wordsAfter(program));
      if (script === undefined)
        throw new UsageError(`There is no completion for ${shell}: bash, zsh and fish have one.`);
      await answer({ shell, script }, () => script);
    },
  });
}

/** The words that may follow each line of commands: `"" -> stock, orders, ...`, `"stock show" -> --sale, ...`. */
function wordsAfter(command: Command, line = ""): [string, string[]][] {
  const words = command.commands.map((sub) => sub.name());
  const options = command.options.map((option) => option.long).filter((flag) => flag !== undefined && flag !== null);
  const own: [string, string[]] = [line, [...words, ...options, "--help"]];
  return [own, ...command.commands.flatMap((sub) => wordsAfter(sub, `${line} ${sub.name()}`.trim()))];
}

function scriptFor(shell: string, words: [string, string[]][]): string | undefined {
  if (shell === "bash") return bash(words);
  if (shell === "zsh") return `autoload -U +X bashcompinit && bashcompinit\n${bash(words)}`;
  return shell === "fish" ? fish(words) : undefined;
}

function bash(words: [string, string[]][]): string {
  const cases = words.map(([line, next]) => `    "${line}") words="${next.join(" ")}" ;;`);
  return [
    "_onrush() {",
    '  local line="" words="" word i',
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's own expansion
    '    word="${COMP_WORDS[i]}"',
    '    [[ "$word" == -* ]] && break',
    '    line="$line $word"',
    "  done",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's own expansion
    '  case "${line# }" in',
    ...cases,
    "  esac",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's own expansion
    '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
    "}",
    "complete -o default -F _onrush onrush",
  ].join("\n");
}

function fish(words: [string, string[]][]): string {
  const lines = ["complete -c onrush -f"];
  for (const [line, next] of words) {
    const parts = line === "" ? [] : line.split(" ");
    const condition =
      parts.length === 0
        ? "__fish_use_subcommand"
        : parts.map((part) => `__fish_seen_subcommand_from ${part}`).join("; and ");
    for (const word of next) {
      const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      lines.push(`complete -c onrush -n '${condition}' ${what}`);
    }
  }
  return lines.join("\n");
}
