/** Small faults to put into a source, one at a time: what tests should notice. */
import ts from 'typescript';

export interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** What is there, and what takes its place. */
  readonly what: string;
  /** The same for the same fault, wherever lines before it move it. */
  readonly name: string;
  /** The innermost function it is in; the module where there is none. */
  readonly place: string;
}

/** Operators and what they are mistaken for. */
const OPERATORS: Record<string, string> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '==': '!=',
  '!=': '==',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '<<': '>>',
  '>>': '<<',
  '>>>': '<<',
  '&': '|',
  '|': '&',
  '^': '&',
  '&&': '||',
  '||': '&&',
  '??': '&&',
  '+=': '-=',
  '-=': '+=',
  '|=': '&=',
  '&=': '|=',
  '++': '--',
  '--': '++',
};

const isText = (node: ts.Node): boolean =>
  ts.isStringLiteralLike(node) ||
  ts.isTemplateExpression(node) ||
  (ts.isBinaryExpression(node) && (isText(node.left) || isText(node.right)));

function parse(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
}

/** Bodies of a source's functions, and what each is called: by the order that they are in. */
function placesOf(source: ts.SourceFile): Map<ts.Node, string> {
  const places = new Map<ts.Node, string>();
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body)
      places.set(node.body as ts.Node, `${source.fileName} ${places.size}`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return places;
}

/** What is not mutated: types, words for people, and what would tell nothing. */
function isSkipped(node: ts.Node): boolean {
  return (
    ts.isTypeNode(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isImportDeclaration(node) ||
    ts.isDecorator(node) ||
    ts.isThrowStatement(node) ||
    // A loop that counts the other way only ever ends by time-out.
    (node.parent && ts.isForStatement(node.parent) && node.parent.incrementor === node)
  );
}

export function mutantsOf(file: string, text: string): Mutant[] {
  const source = parse(file, text);
  const mutants: Mutant[] = [];
  const seen = new Map<string, number>();
  const add = (node: ts.Node, replacement: string, place: string, shown = node.getText()) => {
    const what = `${shown.replace(/\s+/g, ' ').slice(0, 90)}  =>  ${replacement.replace(/\s+/g, ' ').slice(0, 40) || 'nothing'}`;
    const count = seen.get(what) ?? 0;
    seen.set(what, count + 1);
    mutants.push({
      file,
      line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1,
      start: node.getStart(),
      end: node.getEnd(),
      replacement,
      what,
      name: `${file} ${what} ${count}`,
      place,
    });
  };
  const places = placesOf(source);
  const visit = (node: ts.Node, outside: string): void => {
    if (isSkipped(node)) return;
    const place = places.get(node) ?? outside;
    if (ts.isBinaryExpression(node)) {
      const replacement = OPERATORS[node.operatorToken.getText()];
      if (replacement && !isText(node)) add(node.operatorToken, replacement, place, node.getText());
    } else if (ts.isPrefixUnaryExpression(node)) {
      const operator = ts.tokenToString(node.operator)!;
      const operand = node.operand.getText();
      if (operator === '!') add(node, operand, place);
      else if (operator === '++' || operator === '--') add(node, OPERATORS[operator] + operand, place);
    } else if (ts.isPostfixUnaryExpression(node)) {
      add(node, node.operand.getText() + OPERATORS[ts.tokenToString(node.operator)!], place);
    } else if (ts.isIfStatement(node)) {
      add(node.expression, `!(${node.expression.getText()})`, place);
    } else if (ts.isConditionalExpression(node)) {
      add(node.condition, `!(${node.condition.getText()})`, place);
    } else if (ts.isNumericLiteral(node)) {
      // Not keys of tables: those have names for people.
      if (!ts.isPropertyAssignment(node.parent) || node.parent.name !== node) addNumber(node, place);
    } else if (node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword) {
      add(node, node.kind === ts.SyntaxKind.TrueKeyword ? 'false' : 'true', place);
    } else if (ts.isExpressionStatement(node) || ts.isBreakOrContinueStatement(node)) {
      add(node, ';', place);
    } else if (ts.isReturnStatement(node) && !node.expression) {
      add(node, ';', place);
    }
    ts.forEachChild(node, (child) => visit(child, place));
  };
  const addNumber = (node: ts.NumericLiteral, place: string) => {
    const value = Number(node.text);
    add(node, String(value + 1), place, `${node.parent.getText()}: ${node.getText()}`);
    if (value > 0) add(node, String(value - 1), place, `${node.parent.getText()}: ${node.getText()}`);
  };
  visit(source, file);
  return mutants;
}

/** The source with each function telling that it was reached, and the module that it was loaded. */
export function telling(file: string, text: string): string {
  const tell = (place: string) => `(globalThis.reached ??= new Set()).add(${JSON.stringify(place)})`;
  const inserts = [{ at: text.length, text: `;${tell(file)};\n` }];
  for (const [body, place] of placesOf(parse(file, text))) {
    if (ts.isBlock(body)) inserts.push({ at: body.getStart() + 1, text: `${tell(place)};` });
    else inserts.push({ at: body.getStart(), text: `(${tell(place)}, (` }, { at: body.getEnd(), text: '))' });
  }
  let told = text;
  for (const { at, text: inserted } of inserts.sort((a, b) => b.at - a.at))
    told = told.slice(0, at) + inserted + told.slice(at);
  return told;
}
