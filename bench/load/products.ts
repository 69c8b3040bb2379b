// A catalogue of products with Korean and English names, and what people look for in it.
import { randomUUID } from "node:crypto";

const MAKERS = ["한빛", "서울상회", "Northwind", "Aurora", "제주농원", "Bluebird", "금강", "Hanok Works"];
const KINDS = ["프리미엄", "수제", "유기농", "한정판", "대용량", "어린이", "Organic", "Classic", "Wireless", "Winter"];
const THINGS = [
  "보리차",
  "머그컵",
  "원두 커피",
  "쌀국수",
  "이어폰",
  "운동화",
  "가습기",
  "노트북 거치대",
  "Coffee Beans",
  "Running Shoes",
  "Desk Lamp",
  "Water Bottle",
  "Backpack",
  "Keyboard",
];

/** As CSV. Bad rows are spread over it, each wrong in one of four ways. */
export function productFile(products: number, badRows: number): string {
  const every = Math.floor(products / badRows);
  const rows = ["id,name,description,price,currency,imageUrl"];
  for (let n = 0; n < products; n += 1) {
    const cells = [randomUUID(), nameOf(n), describe(n), `${1_000 + n}`, "KRW", `https://images.example/${n}.png`];
    const bad = Math.floor(n / every);
    if (n % every === every - 1 && bad < badRows) ruin(cells, bad % 4);
    rows.push(cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(","));
  }
  return rows.join("\r\n");
}

function nameOf(n: number): string {
  const thing = THINGS[Math.floor(n / (MAKERS.length * KINDS.length)) % THINGS.length];
  return `${MAKERS[n % MAKERS.length]} ${KINDS[Math.floor(n / MAKERS.length) % KINDS.length]} ${thing} ${n}`;
}

function describe(n: number): string {
  return `${nameOf(n)}. 편안한 사용감과 튼튼한 구조, "best" of ${n % 997}; ships in ${(n % 5) + 1} days.`;
}

function ruin(cells: string[], way: number): void {
  if (way === 0) cells[3] = "만원";
  else if (way === 1) cells[1] = "";
  else if (way === 2) cells[0] = "nope";
  else cells.push("one cell too many");
}

/** Words and parts of words, one or two together, some that one product has, and some that none has. */
export function searchQueries(count: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    const [maker = "", kind = "", thing = ""] = [MAKERS, KINDS, THINGS].map((words) => words[(n * 7) % words.length]);
    const ways = [
      maker,
      thing,
      `${kind} ${thing}`,
      `${maker} ${thing}`,
      thing.slice(0, 2),
      thing.toUpperCase(),
      `${thing} ${(n * 163) % 50_000}`,
      nameOf((n * 163) % 50_000),
      "편안한",
      n % 2 === 0 ? "없는상품" : "nothing like it",
    ];
    return ways[n % ways.length] ?? maker;
  });
}
