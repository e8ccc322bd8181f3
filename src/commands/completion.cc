// `penstock completion bash|zsh`: completes commands and options from the program's own table of
// them.
#include "commands/command.h"

namespace penstock::commands {
namespace {

std::string Words(const CLI::App& app) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    words += sub->get_name() + " ";
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name(false, true);
    for (const std::string& part : CLI::detail::split(name, ','))
      if (part.starts_with("--")) words += part + " ";
  }
  return words;
}

// One case per path of subcommands: "penstock gate" -> "eval sign".
void Cases(const CLI::App& app, const std::string& path, std::string* out) {
  *out += fmt::format("    '{}') words='{}' ;;\n", path, Words(app));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    Cases(*sub, path + (path.empty() ? "" : " ") + sub->get_name(), out);
}

std::string BashScript(const CLI::App& app) {
  std::string cases;
  Cases(app, "", &cases);
  return "_penstock() {\n"
         "  local path='' words='' i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    [[ ${COMP_WORDS[i]} == -* ]] && break\n"
         "    path+=\"${path:+ }${COMP_WORDS[i]}\"\n"
         "  done\n"
         "  case $path in\n" +
         cases +
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
         "}\n"
         "complete -o default -F _penstock penstock\n";
}

}  // namespace

void AddCompletion(CLI::App& app, Common&, int*) {
  static std::string shell;
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  command->footer("Example: source <(penstock completion bash)");
  command->add_option("shell", shell, "bash, or zsh (through its bashcompinit)")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command->callback([&app] {
    if (shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
    fmt::print("{}", BashScript(app));
  });
}

}  // namespace penstock::commands
