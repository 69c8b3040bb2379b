// The tree of commands. A new command is a file in commands/ and one line here.
import { Command } from "commander";
import { group } from "./command.ts";
import { auditCommands } from "./commands/audit.ts";
import { completionCommand } from "./commands/completion.ts";
import { configCommands } from "./commands/config.ts";
import { couponCommands } from "./commands/coupon.ts";
import { deadCommands } from "./commands/dead.ts";
import { explainCommand } from "./commands/explain.ts";
import { exportCommand } from "./commands/export.ts";
import { fulfilCommand } from "./commands/fulfil.ts";
import { honourCommand } from "./commands/honour.ts";
import { instancesCommand } from "./commands/instances.ts";
import { jobCommands } from "./commands/jobs.ts";
import { orderCommands } from "./commands/orders.ts";
import { pointsCommands } from "./commands/points.ts";
import { productCommands } from "./commands/product.ts";
import { proveCommands } from "./commands/prove.ts";
import { rebuildCommand } from "./commands/rebuild.ts";
import { reconcileCommand } from "./commands/reconcile.ts";
import { refundCommand } from "./commands/refund.ts";
import { saleCommands } from "./commands/sale.ts";
import { importCommand } from "./commands/sale-import.ts";
import { saleWriteCommands } from "./commands/sale-write.ts";
import { statusCommand } from "./commands/status.ts";
import { stockCommands } from "./commands/stock.ts";
import { stockChangeCommands } from "./commands/stock-change.ts";
import { userCommands } from "./commands/users.ts";
import { walletCommands } from "./commands/wallet.ts";
import { webhookCommands } from "./commands/webhook.ts";

/** All commands under `onrush`. */
export function createProgram(): Command {
  const program = new Command("onrush")
    .description("Runs a shop on Onrush from the terminal.")
    .addHelpText(
      "after",
      "\nWorks on the instance that runs on DATA_DIR (default .data), or on REDIS_URL\nand DATABASE_URL.\n" +
        "Exit codes: 0 fine, 1 found something wrong or could not do it, 2 bad usage.\n" +
        "\nExamples:\n  onrush sale list\n  onrush stock rebuild --apply",
    )
    .helpCommand(false)
    // Arguments are on each command's own page: here they would push the summaries off the screen.
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .exitOverride()
    // What went wrong is told in main.ts, once, in the form that was asked for.
    .configureOutput({ outputError: () => undefined });

  const sale = group("sale", "sales: what is sold, when, and how", [
    "onrush sale list",
    "onrush sale import friday.csv --dry-run",
  ]);
  saleCommands(sale);
  saleWriteCommands(sale);
  importCommand(sale);

  const product = group("product", "the catalogue, and files of it", [
    "onrush product list",
    "onrush product import catalogue.csv --dry-run",
  ]);
  productCommands(product);

  const stock = group("stock", "what there is to sell, and what to do when Redis lost it", [
    "onrush stock show --sale summer",
    "onrush stock reconcile",
  ]);
  stockCommands(stock);
  stockChangeCommands(stock);
  rebuildCommand(stock);
  reconcileCommand(stock);
  proveCommands(stock);

  const orders = group("orders", "orders of buyers", [
    "onrush orders show <order>",
    "onrush orders export --sale summer --out orders.csv",
  ]);
  orderCommands(orders);
  fulfilCommand(orders);
  refundCommand(orders);
  exportCommand(orders);
  explainCommand(orders);
  honourCommand(orders);

  const dead = group("dead", "what could not be applied to the ledger, and refunds that failed", [
    "onrush dead list",
    "onrush dead replay --all",
  ]);
  deadCommands(dead);

  const jobs = group("jobs", "the queues behind payments, settlements and the like", [
    "onrush jobs list",
    "onrush jobs retry --all",
  ]);
  jobCommands(jobs);

  const users = group("users", "accounts and what they may do", [
    "onrush users list --role admin",
    "onrush users grant kim@example.com support",
  ]);
  userCommands(users);

  const wallet = group("wallet", "money that members have paid in", [
    "onrush wallet show kim@example.com",
    "onrush wallet check",
  ]);
  walletCommands(wallet);

  const points = group("points", "what members have earned by orders and spend on others", [
    "onrush points show kim@example.com",
    "onrush points check",
  ]);
  pointsCommands(points);

  const coupon = group("coupon", "what takes something off an order's price", [
    "onrush coupon create SUMMER --amount 5000 --limit 100 --sale summer",
    "onrush coupon show SUMMER",
  ]);
  couponCommands(coupon);

  const webhook = group("webhook", "where events of orders are sent, and what became of them", [
    "onrush webhook list",
    "onrush webhook deliveries <endpoint> --state dead",
  ]);
  webhookCommands(webhook);

  const config = group("config", "what may be changed while the shop runs", [
    "onrush config show",
    "onrush config set pauses.orders true",
    "onrush config apply onrush.json --dry-run",
  ]);
  configCommands(config);

  const audit = group("audit", "what operators did", ["onrush audit list --subject sale:summer"]);
  auditCommands(audit);

  for (const commands of [
    sale,
    product,
    stock,
    orders,
    dead,
    jobs,
    users,
    wallet,
    coupon,
    points,
    webhook,
    config,
    audit,
  ])
    program.addCommand(inherit(commands, program));
  statusCommand(program);
  instancesCommand(program);
  completionCommand(program);
  return program;
}

// A group that was made apart from the program does not take over how it writes.
function inherit(command: Command, from: Command): Command {
  command.copyInheritedSettings(from);
  for (const sub of command.commands) inherit(sub, command);
  return command;
}
