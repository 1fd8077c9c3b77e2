#include "app/command_line.h"
#include "app/process.h"
#include "app/program.h"

int main(int argc, char** argv) {
  tributary::prepare_process();
  return tributary::run_program(argc, argv, tributary::run_command_line);
}
