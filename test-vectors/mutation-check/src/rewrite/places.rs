//! The rules: which places there are, and what is written there.

use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprBinary, ExprIf, ExprMatch, ExprMethodCall,
    GenericArgument, ImplItemFn, ItemFn, ItemImpl, ItemMod, Lit, Local, Pat, PathArguments,
    RangeLimits, ReturnType, Signature, Stmt, TraitItemFn, Type,
};

use super::edit::Wrap;
use super::refusal::{blames_the_driver, block_refuses, leaves, refuses, returns_ok};
use crate::mutant::Rule;

/// One place.
pub(super) struct Found {
    /// The function it is in.
    pub(super) function: String,
    pub(super) rule: Rule,
    pub(super) becomes: &'static str,
    /// What is shown of it.
    pub(super) shown: Range<usize>,
    pub(super) wrap: Wrap,
}

/// Every place of a source.
pub(super) fn find(source: &str, parsed: &syn::File) -> Vec<Found> {
    let mut finder = Finder {
        source,
        owner: None,
        functions: Vec::new(),
        found: Vec::new(),
    };
    finder.visit_file(parsed);
    finder.found
}

/// `(CONDITION) && ..` is asked first and then overruled, so that what it does besides is done.
const NEVER: (&str, &str) = ("((", ") && !crate::mutant::off(@))");
const ALWAYS: (&str, &str) = ("((", ") || crate::mutant::off(@))");

/// Methods whose closure answers with a `bool`.
const ASKS: [&str; 12] = [
    "all",
    "any",
    "filter",
    "find",
    "is_none_or",
    "is_ok_and",
    "is_some_and",
    "is_sorted_by",
    "position",
    "retain",
    "skip_while",
    "take_while",
];

/// Methods whose closure is called when something is missing or wrong.
const EXCUSES: [&str; 3] = ["map_err", "ok_or_else", "or_else"];

struct Finder<'s> {
    source: &'s str,
    /// The type whose `impl` this is.
    owner: Option<String>,
    functions: Vec<String>,
    found: Vec<Found>,
}

impl Finder<'_> {
    fn text(&self, span: Span) -> &str {
        &self.source[span.byte_range()]
    }

    fn add(&mut self, rule: Rule, becomes: &'static str, shown: Span, wrap: Wrap) {
        self.found.push(Found {
            function: self.functions.last().cloned().unwrap_or_default(),
            rule,
            becomes,
            shown: shown.byte_range(),
            wrap,
        });
    }

    fn wrap(&mut self, rule: Rule, becomes: &'static str, span: Span, around: (&str, &str)) {
        let wrap = Wrap {
            range: span.byte_range(),
            before: around.0.into(),
            after: around.1.into(),
        };
        self.add(rule, becomes, span, wrap);
    }

    fn never(&mut self, rule: Rule, condition: &Expr) {
        match has_let(condition) {
            true => {
                let around = ("", " && !crate::mutant::off(@)");
                self.wrap(rule, "false", condition.span(), around);
            }
            false => self.wrap(rule, "false", condition.span(), NEVER),
        }
    }

    fn always(&mut self, rule: Rule, condition: &Expr) {
        if !has_let(condition) {
            self.wrap(rule, "true", condition.span(), ALWAYS);
        }
    }

    /// A function, by what it returns.
    fn function(&mut self, signature: &Signature, body: &Block) {
        if signature.constness.is_some() {
            return;
        }
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        self.functions.push(name);
        let start = body.brace_token.span.open().byte_range().end;
        let mut at_start = |rule, becomes, text: &str| {
            let wrap = Wrap {
                range: start..start,
                before: text.into(),
                after: String::new(),
            };
            self.add(rule, becomes, signature.ident.span(), wrap);
        };
        match returned(&signature.output) {
            // One without any check has nothing to lose.
            Returned::Checked if is_content(body) => {}
            Returned::Checked => {
                let text = " if crate::mutant::off(@) { return Ok(()); }";
                at_start(Rule::Function, "Ok(())", text);
            }
            Returned::Bool => {
                let text = " if crate::mutant::off(@) { return true; }";
                at_start(Rule::Bool, "true", text);
                let text = " if crate::mutant::off(@) { return false; }";
                at_start(Rule::Bool, "false", text);
            }
            Returned::Other => {}
        }
        self.visit_block(body);
        self.functions.pop();
    }

    /// What is refused for a pattern, or for another error.
    fn unreached(&mut self, shown: Span, body: &Expr) {
        let wrap = Wrap {
            range: body.span().byte_range(),
            before: "{ crate::mutant::reached(@); ".into(),
            after: " }".into(),
        };
        self.add(Rule::Unreached, "panic", shown, wrap);
    }

    /// `check()?` as an arm, where another one does nothing.
    fn arms_without_value(&mut self, arms: &[Arm]) {
        let nothing = |arm: &Arm| match &*arm.body {
            Expr::Block(block) => block.block.stmts.is_empty(),
            body => matches!(body, Expr::Assign(_)),
        };
        if !arms.iter().any(nothing) {
            return;
        }
        for arm in arms {
            if let Expr::Try(tried) = &*arm.body {
                let around = ("{ if !crate::mutant::off(@) { ", "; } }");
                self.wrap(Rule::Statement, "nothing", tried.span(), around);
            }
        }
    }

    fn boundary(&mut self, binary: &ExprBinary) {
        let (becomes, other) = match binary.op {
            BinOp::Lt(_) => ("<=", "<="),
            BinOp::Le(_) => ("<", "<"),
            BinOp::Gt(_) => (">=", ">="),
            BinOp::Ge(_) => (">", ">"),
            _ => return,
        };
        let (left, right) = (
            self.text(binary.left.span()),
            self.text(binary.right.span()),
        );
        let mutated = format!("({left}) {other} ({right})");
        self.instead(becomes, binary.span(), &mutated);
    }

    /// `(a..=b).contains(c)`, at both ends.
    fn range_boundary(&mut self, call: &ExprMethodCall) {
        let receiver = match &*call.receiver {
            Expr::Paren(paren) => &*paren.expr,
            other => other,
        };
        let (Expr::Range(range), Some(asked)) = (receiver, call.args.first()) else {
            return;
        };
        let asked = self.text(asked.span());
        let inclusive = matches!(range.limits, RangeLimits::Closed(_));
        let dots = if inclusive { "..=" } else { ".." };
        let (start, end) = (range.start.as_deref(), range.end.as_deref());
        let text = |end: Option<&Expr>| end.map_or("", |end| self.text(end.span()));
        let (from, to) = (text(start), text(end));
        let shorter = end
            .filter(|_| inclusive)
            .map(|_| format!("({from}..{to}).contains({asked})"));
        let later = start.map(|_| format!("(({from}) + 1{dots}{to}).contains({asked})"));
        for (becomes, mutated) in [("..end", shorter), ("start+1..", later)] {
            if let Some(mutated) = mutated {
                self.instead(becomes, call.span(), &mutated);
            }
        }
    }

    /// One expression or, where the mutant is on, another one.
    fn instead(&mut self, becomes: &'static str, span: Span, mutated: &str) {
        let mutated = super::one_line(mutated);
        // What is written must not end in a comment.
        if mutated.contains("//") {
            return;
        }
        let before = format!("(if crate::mutant::off(@) {{ {mutated} }} else {{ ");
        self.wrap(Rule::Boundary, becomes, span, (&before, " })"));
    }

    /// The parts of `a && b` and of `a || b`, of which each has to count.
    fn operands(&mut self, binary: &ExprBinary) {
        for part in [&*binary.left, &*binary.right] {
            let same = |part: &Expr| match part {
                Expr::Binary(inner) => {
                    std::mem::discriminant(&inner.op) == std::mem::discriminant(&binary.op)
                }
                _ => false,
            };
            // The parts of a chain are asked for one by one.
            if same(part) || has_let(part) {
                continue;
            }
            match binary.op {
                BinOp::And(_) => self.wrap(Rule::Operand, "true", part.span(), ALWAYS),
                BinOp::Or(_) => self.wrap(Rule::Operand, "false", part.span(), NEVER),
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if is_built(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let prints = block.trait_.as_ref().is_some_and(|(_, path, _)| {
            let last = path.segments.last();
            last.is_some_and(|last| last.ident == "Display" || last.ident == "Debug")
        });
        if is_built(&block.attrs) && !prints {
            let owner = match &*block.self_ty {
                Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
                _ => None,
            };
            let outer = std::mem::replace(&mut self.owner, owner);
            visit::visit_item_impl(self, block);
            self.owner = outer;
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if is_built(&function.attrs) {
            self.function(&function.sig, &function.block);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if is_built(&function.attrs) {
            self.function(&function.sig, &function.block);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.function(&function.sig, body);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(Expr::Try(tried), Some(_)) = statement {
            let wrap = Wrap {
                range: statement.span().byte_range(),
                before: "if !crate::mutant::off(@) { ".into(),
                after: " }".into(),
            };
            self.add(Rule::Statement, "nothing", tried.span(), wrap);
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        let otherwise = local.init.as_ref().and_then(|init| init.diverge.as_ref());
        if let Some((_, otherwise)) = otherwise
            && refuses(otherwise)
            && !blames_the_driver(otherwise)
        {
            self.unreached(local.pat.span(), otherwise);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_if(&mut self, branches: &'ast ExprIf) {
        let otherwise = branches.else_branch.as_ref().map(|(_, expr)| &**expr);
        if block_refuses(&branches.then_branch) {
            self.never(Rule::If, &branches.cond);
        } else if otherwise.is_some_and(refuses) {
            self.always(Rule::If, &branches.cond);
        } else if leaves(&branches.then_branch) {
            self.never(Rule::If, &branches.cond);
            self.always(Rule::If, &branches.cond);
        } else if otherwise.is_some_and(returns_ok) {
            self.never(Rule::If, &branches.cond);
        }
        visit::visit_expr_if(self, branches);
    }

    fn visit_expr_match(&mut self, branches: &'ast ExprMatch) {
        let answers = |pattern: &Pat| bool_of(pattern);
        if branches.arms.iter().any(|arm| answers(&arm.pat).is_some()) {
            for arm in branches.arms.iter().filter(|arm| refuses(&arm.body)) {
                match answers(&arm.pat) {
                    Some(true) => self.never(Rule::Match, &branches.expr),
                    Some(false) => self.always(Rule::Match, &branches.expr),
                    None => {}
                }
            }
        } else if let Expr::Tuple(tuple) = &*branches.expr
            && branches.arms.iter().any(|arm| has_bools(&arm.pat))
        {
            self.tuple(&tuple.elems.iter().collect::<Vec<_>>(), &branches.arms);
        } else {
            for arm in &branches.arms {
                match &arm.guard {
                    Some((_, guard)) => {
                        self.never(Rule::Guard, guard);
                        if !refuses(&arm.body) {
                            self.always(Rule::Guard, guard);
                        }
                    }
                    None if refuses(&arm.body) && !blames_the_driver(&arm.body) => {
                        self.unreached(arm.pat.span(), &arm.body);
                    }
                    None => {}
                }
            }
            self.arms_without_value(&branches.arms);
        }
        visit::visit_expr_match(self, branches);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let method = call.method.to_string();
        let last = call.args.last();
        if ASKS.contains(&method.as_str()) {
            match last {
                Some(Expr::Closure(closure)) => {
                    self.wrap(Rule::Closure, "true", closure.body.span(), ALWAYS);
                    self.wrap(Rule::Closure, "false", closure.body.span(), NEVER);
                }
                Some(path @ Expr::Path(_)) => {
                    let around = ("|it| (", ")(it) || crate::mutant::off(@)");
                    self.wrap(Rule::Closure, "true", path.span(), around);
                }
                _ => {}
            }
        }
        if EXCUSES.contains(&method.as_str())
            && let Some(Expr::Closure(closure)) = last
        {
            self.unreached(call.span(), &closure.body);
        }
        if method == "then" || method == "then_some" {
            self.wrap(Rule::Then, "true", call.receiver.span(), ALWAYS);
        }
        if method == "contains" {
            self.range_boundary(call);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        match binary.op {
            BinOp::And(_) | BinOp::Or(_) => self.operands(binary),
            BinOp::BitAndAssign(_) => {
                self.wrap(Rule::Assign, "nothing", binary.right.span(), ALWAYS);
            }
            BinOp::BitOrAssign(_) => {
                self.wrap(Rule::Assign, "nothing", binary.right.span(), NEVER);
            }
            _ => self.boundary(binary),
        }
        visit::visit_expr_binary(self, binary);
    }
}

impl Finder<'_> {
    /// `match (a, b) { (true, true) => .., (false, _) => REFUSAL, .. }`
    fn tuple(&mut self, parts: &[&Expr], arms: &[Arm]) {
        for (at, part) in parts.iter().enumerate() {
            let refused = |answer: bool| {
                arms.iter()
                    .any(|arm| refuses(&arm.body) && tuple_bool(&arm.pat, at) == Some(answer))
            };
            let accepted = |answer: bool| {
                arms.iter()
                    .any(|arm| !refuses(&arm.body) && tuple_bool(&arm.pat, at) == Some(answer))
            };
            if refused(false) && accepted(true) {
                self.always(Rule::Match, part);
            }
            if refused(true) && accepted(false) {
                self.never(Rule::Match, part);
            }
        }
    }
}

/// What a function comes to.
enum Returned {
    /// `Result<(), _>`
    Checked,
    Bool,
    Other,
}

fn returned(output: &ReturnType) -> Returned {
    let ReturnType::Type(_, returned) = output else {
        return Returned::Other;
    };
    let Type::Path(path) = &**returned else {
        return Returned::Other;
    };
    let Some(last) = path.path.segments.last() else {
        return Returned::Other;
    };
    let first = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.first(),
        _ => None,
    };
    match first {
        None if last.ident == "bool" => Returned::Bool,
        Some(GenericArgument::Type(Type::Tuple(unit)))
            if last.ident == "Result" && unit.elems.is_empty() =>
        {
            Returned::Checked
        }
        _ => Returned::Other,
    }
}

/// Whether it is `Ok(())` and nothing else.
fn is_content(body: &Block) -> bool {
    let [Stmt::Expr(Expr::Call(call), None)] = body.stmts.as_slice() else {
        return false;
    };
    let unit = matches!(call.args.first(), Some(Expr::Tuple(tuple)) if tuple.elems.is_empty());
    unit && matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Ok"))
}

/// Whether the item is in the build whose vectors are run: no tests, and the back end that is used.
fn is_built(attributes: &[Attribute]) -> bool {
    attributes.iter().all(|attribute| {
        let Ok(list) = attribute.meta.require_list() else {
            return true;
        };
        let condition = list.tokens.to_string();
        !attribute.path().is_ident("cfg")
            || !(condition == "test" || condition.contains("not (feature = \"ring\")"))
    })
}

/// Whether it is `let PATTERN = ..`, or a chain with one.
fn has_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) => {
            matches!(binary.op, BinOp::And(_)) && (has_let(&binary.left) || has_let(&binary.right))
        }
        _ => false,
    }
}

fn bool_of(pattern: &Pat) -> Option<bool> {
    match pattern {
        Pat::Lit(literal) => match &literal.lit {
            Lit::Bool(answer) => Some(answer.value),
            _ => None,
        },
        _ => None,
    }
}

fn has_bools(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Tuple(tuple) if tuple.elems.iter().any(|part| bool_of(part).is_some()))
}

fn tuple_bool(pattern: &Pat, at: usize) -> Option<bool> {
    match pattern {
        Pat::Tuple(tuple) => bool_of(tuple.elems.get(at)?),
        _ => None,
    }
}
